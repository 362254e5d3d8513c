#include "cli/invocation.h"

void pb_invocation_summary(pb_invocation *invocation)
{
    pb_progress_end(&invocation->progress);
    if (!invocation->options.quiet)
        pb_output_text(&invocation->output, pb_buffer_slice(&invocation->scratch));
}
