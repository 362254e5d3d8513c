#include "cli/invocation.h"

#include "cli/result_json.h"
#include "cli/result_text.h"

void pb_invocation_summary(pb_invocation *invocation)
{
    pb_progress_end(&invocation->progress);
    if (!invocation->options.quiet)
        pb_output_text(&invocation->output, pb_buffer_slice(&invocation->scratch));
}

void pb_invocation_result(pb_invocation *invocation, const pb_fields *fields, const void *result,
                          bool with_text)
{
    const pb_options *options = &invocation->options;
    if (with_text) {
        pb_result_text(&invocation->scratch, fields, result, options);
        pb_invocation_summary(invocation);
    }
    if (invocation->output.document)
        pb_result_json(invocation->output.document, fields, result, options);
}
