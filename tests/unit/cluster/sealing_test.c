/* Round trips and damage: zstd alone, and with age for real where it is installed. */
#include "cluster/sealing.h"

#include "base/random.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

static uv_loop_t loop;

/* Two pairs of keys; recipients[0] is "" without age. */
static char folder[64], identities[2][96], recipients[2][128];

static void make_key(int number)
{
    char command[512];
    snprintf(identities[number], sizeof identities[number], "%s/key%d.txt", folder, number);
    snprintf(command, sizeof command, "age-keygen -o %s 2>/dev/null && age-keygen -y %s",
             identities[number], identities[number]);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    assert_non_null(fgets(recipients[number], sizeof recipients[number], output));
    assert_int_equal(pclose(output), 0);
    recipients[number][strcspn(recipients[number], "\n")] = 0;
}

static int make_keys(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    strcpy(folder, "/tmp/pbcopy-sealing-XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (system("command -v age age-keygen >/dev/null"))
        print_message("SKIP: age is not installed, nothing is encrypted\n");
    else
        for (int i = 0; i < 2; i++)
            make_key(i);
    return 0;
}

static int remove_keys(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (identities[i][0])
            remove(identities[i]);
    return remove(folder);
}

static void need_age(void)
{
    if (!recipients[0][0])
        skip();
}

static int open_loop(void **state)
{
    (void)state;
    return uv_loop_init(&loop);
}

/* No handle is left open, and no child unreaped. */
static int close_loop(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop) || waitpid(-1, NULL, WNOHANG) != -1;
}

/* ---- one way through ---- */

typedef struct passage {
    pb_seal *seal;
    pb_buffer output;
    pb_error error, refusal; /* refusal: given back by write */
    bool in_call;
    unsigned done, drained;
} passage;

static int on_write(void *context, const void *data, size_t size, pb_error *error)
{
    passage *way = context;
    assert_false(way->in_call);
    assert_int_equal(way->done, 0);
    if (way->refusal.kind) {
        *error = way->refusal;
        return -1;
    }
    pb_buffer_append(&way->output, data, size);
    return 0;
}

static void on_drained(void *context)
{
    passage *way = context;
    assert_false(way->in_call);
    way->drained++;
}

static void on_done(void *context, const pb_error *error)
{
    passage *way = context;
    assert_false(way->in_call);
    way->error = *error;
    way->done++;
    way->seal = NULL;
}

static void start(passage *way, bool opens, const char *identity, const char *recipient)
{
    const char *const list[] = {recipient};
    const pb_seal_options options = {
        .opens = opens,
        .sealing = {.recipients = list, .recipient_count = !opens && recipient ? 1 : 0},
        .encrypted = opens && identity,
        .identity = identity,
        .write = on_write,
        .drained = on_drained,
        .done = on_done,
        .context = way,
    };
    way->in_call = true;
    if (pb_seal_start(&loop, &options, &way->seal, &way->error))
        fail_msg("%s", way->error.message);
    way->in_call = false;
}

static void write_bytes(passage *way, const void *data, size_t size)
{
    way->in_call = true;
    if (way->seal)
        pb_seal_write(way->seal, data, size);
    way->in_call = false;
}

static void end(passage *way)
{
    way->in_call = true;
    if (way->seal)
        pb_seal_end(way->seal);
    way->in_call = false;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(way->done, 1);
}

/* Bytes in pieces of sizes that nobody expects. */
static void write_in_pieces(passage *way, pb_slice bytes)
{
    pb_random random = {7};
    for (size_t at = 0, size; at < bytes.size && way->seal; at += size) {
        size = 1 + pb_random_below(&random, 100000);
        if (size > bytes.size - at)
            size = bytes.size - at;
        write_bytes(way, bytes.data + at, size);
        while (way->seal && pb_seal_pending(way->seal) > 512 * 1024)
            uv_run(&loop, UV_RUN_ONCE);
    }
}

static void pass(passage *way, bool opens, const char *identity, const char *recipient,
                 pb_slice bytes)
{
    *way = (passage){0};
    start(way, opens, identity, recipient);
    write_in_pieces(way, bytes);
    end(way);
}

/* Half of it repeats, half of it is noise. */
static void make_bytes(pb_buffer *bytes, size_t size)
{
    pb_random random = {11};
    pb_buffer_reserve(bytes, size);
    for (size_t i = 0; i < size; i++)
        bytes->data[i] = i / 4096 % 2 ? (char)pb_random_next(&random) : (char)(i % 61);
    bytes->size = size;
}

static void seal_bytes(pb_slice bytes, bool encrypts, pb_buffer *ret_sealed)
{
    passage way;
    pass(&way, false, NULL, encrypts ? recipients[0] : NULL, bytes);
    if (way.error.kind)
        fail_msg("%s", way.error.message);
    *ret_sealed = way.output;
}

static void expect_round_trips(bool encrypts)
{
    static const size_t sizes[] = {0,      1,      128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1,
                                   300000, 262144, 5 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pb_buffer bytes = {0}, sealed;
        passage way;
        make_bytes(&bytes, sizes[i]);
        seal_bytes(pb_buffer_slice(&bytes), encrypts, &sealed);
        assert_true(sealed.size > 0);
        pass(&way, true, encrypts ? identities[0] : NULL, NULL, pb_buffer_slice(&sealed));
        if (way.error.kind)
            fail_msg("%zu bytes: %s", sizes[i], way.error.message);
        assert_true(pb_slice_equal(pb_buffer_slice(&bytes), pb_buffer_slice(&way.output)));
        pb_buffer_free(&bytes);
        pb_buffer_free(&sealed);
        pb_buffer_free(&way.output);
    }
}

static void expect_opening_fails(pb_slice sealed, const char *identity, pb_error_kind kind)
{
    passage way;
    pass(&way, true, identity, NULL, sealed);
    if (way.error.kind != kind)
        fail_msg("%zu bytes: kind %d: %s", sealed.size, (int)way.error.kind, way.error.message);
    assert_string_not_equal(way.error.message, "");
    pb_buffer_free(&way.output);
}

static void expect_damage_is_seen(bool encrypts)
{
    pb_buffer bytes = {0}, sealed;
    const char *identity = encrypts ? identities[0] : NULL;
    make_bytes(&bytes, 700000);
    seal_bytes(pb_buffer_slice(&bytes), encrypts, &sealed);
    const size_t cuts[] = {0,
                           1,
                           5,
                           40,
                           sealed.size / 3,
                           sealed.size / 2,
                           64 * 1024,
                           sealed.size - 20,
                           sealed.size - 4,
                           sealed.size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        expect_opening_fails((pb_slice){sealed.data, cuts[i]}, identity, PB_ERROR_DAMAGED);
    /* In zstd's own header a flip may only ask for another window. */
    const size_t flips[] = {0, 1, 1000, sealed.size / 2, sealed.size - 1};
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        sealed.data[flips[i]] ^= 0x10;
        expect_opening_fails(pb_buffer_slice(&sealed), identity, PB_ERROR_DAMAGED);
        sealed.data[flips[i]] ^= 0x10;
    }
    pb_buffer_append_text(&sealed, "more");
    expect_opening_fails(pb_buffer_slice(&sealed), identity, PB_ERROR_DAMAGED);
    pb_buffer_free(&bytes);
    pb_buffer_free(&sealed);
}

/* ---- tests ---- */

static void compressed_bytes_come_back(void **state)
{
    (void)state;
    expect_round_trips(false);
}

static void damaged_compressed_bytes_are_damaged(void **state)
{
    (void)state;
    expect_damage_is_seen(false);
}

static void encrypted_bytes_come_back(void **state)
{
    (void)state;
    need_age();
    expect_round_trips(true);
}

static void damaged_encrypted_bytes_are_damaged(void **state)
{
    (void)state;
    need_age();
    expect_damage_is_seen(true);
}

static void what_is_encrypted_is_no_zstd(void **state)
{
    (void)state;
    need_age();
    pb_buffer sealed;
    seal_bytes(PB_SLICE_LITERAL("plain"), true, &sealed);
    assert_true(pb_slice_starts_with(pb_buffer_slice(&sealed),
                                     PB_SLICE_LITERAL("age-encryption.org/v1\n")));
    expect_opening_fails(pb_buffer_slice(&sealed), NULL, PB_ERROR_DAMAGED);
    pb_buffer_free(&sealed);
    seal_bytes(PB_SLICE_LITERAL("plain"), false, &sealed);
    expect_opening_fails(pb_buffer_slice(&sealed), identities[0], PB_ERROR_DAMAGED);
    pb_buffer_free(&sealed);
}

static void another_identity_is_refused(void **state)
{
    (void)state;
    need_age();
    static const size_t sizes[] = {10, 3 * 1024 * 1024}; /* age ends before it has read all */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pb_buffer bytes = {0}, sealed;
        passage way;
        make_bytes(&bytes, sizes[i]);
        seal_bytes(pb_buffer_slice(&bytes), true, &sealed);
        pass(&way, true, identities[1], NULL, pb_buffer_slice(&sealed));
        assert_int_equal(way.error.kind, PB_ERROR_REFUSED);
        assert_non_null(strstr(way.error.message, "identity"));
        assert_string_not_equal(way.error.hint, "");
        assert_int_equal(way.output.size, 0);
        pb_buffer_free(&bytes);
        pb_buffer_free(&sealed);
        pb_buffer_free(&way.output);
    }
}

static void recipients_are_checked_beforehand(void **state)
{
    (void)state;
    pb_error error = {0};
    assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){0}, &error), 0);
    need_age();
    const char *const good[] = {recipients[0], recipients[1]};
    assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){good, 2}, &error), 0);
    static const char *const bad[] = {"age1", "", "--help", "ssh-rsa", "AGE-SECRET-KEY-1", "x y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const list[] = {recipients[0], bad[i]};
        assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){list, 2}, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_string_not_equal(error.hint, "");
    }
}

static void several_recipients_can_each_open_it(void **state)
{
    (void)state;
    need_age();
    const char *const list[] = {recipients[0], recipients[1]};
    passage way = {0};
    const pb_seal_options options = {
        .sealing = {list, 2}, .write = on_write, .done = on_done, .context = &way};
    assert_int_equal(pb_seal_start(&loop, &options, &way.seal, &way.error), 0);
    write_bytes(&way, "both", 4);
    end(&way);
    assert_int_equal(way.error.kind, PB_ERROR_NONE);
    pb_buffer sealed = way.output;
    for (int i = 0; i < 2; i++) {
        pass(&way, true, identities[i], NULL, pb_buffer_slice(&sealed));
        assert_int_equal(way.error.kind, PB_ERROR_NONE);
        assert_true(pb_slice_equal(pb_buffer_slice(&way.output), PB_SLICE_LITERAL("both")));
        pb_buffer_free(&way.output);
    }
    pb_buffer_free(&sealed);
}

static void several_frames_are_one_text(void **state)
{
    (void)state;
    pb_buffer sealed, second;
    passage way;
    seal_bytes(PB_SLICE_LITERAL("one "), false, &sealed);
    seal_bytes(PB_SLICE_LITERAL("two"), false, &second);
    pb_buffer_append_slice(&sealed, pb_buffer_slice(&second));
    pass(&way, true, NULL, NULL, pb_buffer_slice(&sealed));
    assert_int_equal(way.error.kind, PB_ERROR_NONE);
    assert_true(pb_slice_equal(pb_buffer_slice(&way.output), PB_SLICE_LITERAL("one two")));
    pb_buffer_free(&sealed);
    pb_buffer_free(&second);
    pb_buffer_free(&way.output);
}

/* Killed after this many turns of the loop, with and without age, to seal and to open. */
static void kill_after(unsigned turns, bool ended, bool opens, bool encrypts)
{
    pb_buffer bytes = {0}, sealed = {0};
    passage way = {0};
    pb_error why;
    make_bytes(&bytes, 1 << 20);
    if (opens)
        seal_bytes(pb_buffer_slice(&bytes), encrypts, &sealed);
    start(&way, opens, encrypts ? identities[0] : NULL, encrypts ? recipients[0] : NULL);
    pb_slice input = opens ? pb_buffer_slice(&sealed) : pb_buffer_slice(&bytes);
    write_bytes(&way, input.data, input.size);
    if (ended)
        pb_seal_end(way.seal);
    for (unsigned i = 0; i < turns; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    if (!way.done) {
        pb_error_set(&why, PB_ERROR_CANCELLED, "enough");
        way.in_call = true;
        pb_seal_kill(way.seal, &why);
        way.in_call = false;
        write_bytes(&way, "more", 4);
        end(&way);
        assert_int_equal(way.error.kind, PB_ERROR_CANCELLED);
        assert_string_equal(way.error.message, "enough");
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(way.done, 1);
    pb_buffer_free(&bytes);
    pb_buffer_free(&sealed);
    pb_buffer_free(&way.output);
}

static void it_can_be_killed_at_any_time(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++)
        for (unsigned way = 0; way < 8; way++)
            if (!(way & 4) || recipients[0][0])
                kill_after(turns, way & 1, way & 2, way & 4);
}

static void a_writer_that_fails_ends_it(void **state)
{
    (void)state;
    for (int encrypts = 0; encrypts <= (recipients[0][0] ? 1 : 0); encrypts++) {
        pb_buffer bytes = {0};
        passage way = {0};
        pb_error_set(&way.refusal, PB_ERROR_REFUSED, "no room");
        make_bytes(&bytes, 1 << 20);
        start(&way, false, NULL, encrypts ? recipients[0] : NULL);
        write_in_pieces(&way, pb_buffer_slice(&bytes));
        end(&way);
        assert_int_equal(way.error.kind, PB_ERROR_REFUSED);
        assert_string_equal(way.error.message, "no room");
        pb_buffer_free(&bytes);
        pb_buffer_free(&way.output);
    }
}

static void a_paused_one_gives_nothing(void **state)
{
    (void)state;
    for (int encrypts = 0; encrypts <= (recipients[0][0] ? 1 : 0); encrypts++) {
        pb_buffer bytes = {0}, sealed;
        passage way = {0};
        make_bytes(&bytes, 1 << 20);
        seal_bytes(pb_buffer_slice(&bytes), encrypts, &sealed);
        start(&way, true, encrypts ? identities[0] : NULL, NULL);
        pb_seal_pause(way.seal, true);
        write_bytes(&way, sealed.data, sealed.size);
        pb_seal_end(way.seal);
        for (int i = 0; i < 200; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(way.output.size, 0);
        assert_int_equal(way.done, 0);
        way.in_call = true;
        pb_seal_pause(way.seal, false);
        way.in_call = false;
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(way.done, 1);
        assert_int_equal(way.error.kind, PB_ERROR_NONE);
        assert_true(pb_slice_equal(pb_buffer_slice(&bytes), pb_buffer_slice(&way.output)));
        assert_true(way.drained > 0);
        pb_buffer_free(&way.output);

        way = (passage){0}; /* killed while it is */
        start(&way, true, encrypts ? identities[0] : NULL, NULL);
        pb_seal_pause(way.seal, true);
        write_bytes(&way, sealed.data, sealed.size);
        pb_seal_end(way.seal);
        uv_run(&loop, UV_RUN_NOWAIT);
        pb_error why;
        pb_error_set(&why, PB_ERROR_CANCELLED, "enough");
        pb_seal_kill(way.seal, &why);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(way.done, 1);
        assert_int_equal(way.error.kind, PB_ERROR_CANCELLED);
        pb_buffer_free(&way.output);
        pb_buffer_free(&bytes);
        pb_buffer_free(&sealed);
    }
}

static void without_age_nothing_is_encrypted(void **state)
{
    (void)state;
    static const char *const list[] = {"age1x"};
    char *before = pb_duplicate(pb_slice_of(getenv("PATH")));
    passage way = {0};
    pb_error error = {0};
    const pb_seal_options options = {
        .sealing = {list, 1}, .write = on_write, .done = on_done, .context = &way};
    setenv("PATH", "/nonexistent", 1);
    int started = pb_seal_start(&loop, &options, &way.seal, &way.error);
    int checked = pb_sealing_check(&loop, &options.sealing, &error);
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(started, -1);
    assert_int_equal(way.error.kind, PB_ERROR_USAGE);
    assert_int_equal(checked, -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(way.done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(compressed_bytes_come_back),        TEST(damaged_compressed_bytes_are_damaged),
        TEST(encrypted_bytes_come_back),         TEST(damaged_encrypted_bytes_are_damaged),
        TEST(what_is_encrypted_is_no_zstd),      TEST(another_identity_is_refused),
        TEST(recipients_are_checked_beforehand), TEST(several_recipients_can_each_open_it),
        TEST(several_frames_are_one_text),       TEST(it_can_be_killed_at_any_time),
        TEST(a_writer_that_fails_ends_it),       TEST(a_paused_one_gives_nothing),
        TEST(without_age_nothing_is_encrypted),
    };
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
