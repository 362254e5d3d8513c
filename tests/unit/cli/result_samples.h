/* tests/unit/cli/result_samples.h - results in which each value is another one: where a value is
 * shown, it can be told which one it is. */
#ifndef PB_TESTS_RESULT_SAMPLES_H
#define PB_TESTS_RESULT_SAMPLES_H

#include "snapshot/backup.h"
#include "snapshot/catalogue.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

/* The structures own their texts; those of samples are only read. */
#define SAMPLE_TEXT(text) ((char *)(text))

static inline pb_cluster_record *sample_cluster(void)
{
    static pb_workload workloads[] = {
        {SAMPLE_TEXT("Deployment"), SAMPLE_TEXT("pachd"), 1},
        {SAMPLE_TEXT("ReplicationController"), SAMPLE_TEXT("pipeline-edges-v1"), 7}};
    static pb_artifact artifacts[] = {
        {.kind = PB_ARTIFACT_DUMP,
         .path = SAMPLE_TEXT("database/pachyderm.dump.zst.age"),
         .database = SAMPLE_TEXT("pachyderm"),
         .encrypted = true,
         .bytes = 51 << 20,
         .stored_bytes = 52 << 20},
        {.kind = PB_ARTIFACT_DUMP_ALL,
         .path = SAMPLE_TEXT("database/all.sql.zst"),
         .database = SAMPLE_TEXT(""),
         .bytes = 53 << 20,
         .stored_bytes = 54 << 20},
        {.kind = PB_ARTIFACT_OBJECTS,
         .path = SAMPLE_TEXT("kubernetes/objects.ndjson.zst\x1b[2J"),
         .database = SAMPLE_TEXT(""),
         .bytes = 55 << 20,
         .stored_bytes = 56 << 20},
    };
    static pb_cluster_record record = {
        .name_space = SAMPLE_TEXT("prod"),
        .pachyderm_version = SAMPLE_TEXT("2.11.4"),
        .database_name = SAMPLE_TEXT("pachyderm"),
        .identity_database = SAMPLE_TEXT("dex"),
        .database_version = SAMPLE_TEXT("15.8"),
        .kubernetes = SAMPLE_TEXT("native"),
        .velero_backup = SAMPLE_TEXT("velero/pbcopy-1"),
        .paused = true,
        .suspended_ms = 1795411260000,
        .resumed_ms = 1795411357000,
        .chunks_needed = 6161,
        .workloads = {workloads, 2},
        .artifacts = artifacts,
        .artifact_count = 3,
    };
    return &record;
}

static inline pb_snapshot_file sample_snapshot(void)
{
    static char source[] = "s3://host/b\nucket/", prefix[] = "pre\tfix/", program[] = "pbcopy 0.7";
    static char after[] = "chunk/7f";
    static pb_part parts[2];
    snprintf(parts[0].name, sizeof parts[0].name, "000001.ndjson.zst");
    snprintf(parts[1].name, sizeof parts[1].name, "000002.ndjson.zst");
    parts[0].range.through = parts[1].range.after = after;
    parts[0].records = 61;
    parts[0].bytes = 62;
    parts[0].stored_bytes = 63;
    parts[1].records = 64;
    parts[1].bytes = 65;
    parts[1].stored_bytes = 66;
    return (pb_snapshot_file){
        .id = "20261123T052049Z-3f9a",
        .source = source,
        .prefix = prefix,
        .base = "20261122T052049Z-77aa",
        .base_sha256 = "01",
        .started_ms = 1795411249000,
        .committed_ms = 1795411450000,
        .program = program,
        .objects = 5555,
        .bytes = 31 << 20,
        .copied_objects = 2222,
        .copied_bytes = 11 << 20,
        .proofs_size = 1001,
        .proofs_etag = 1002,
        .proofs_checksum = 1003,
        .proofs_sha256 = 1004,
        .proofs_key = 1545,
        .cluster = sample_cluster(),
        .parts = parts,
        .part_count = 2,
    };
}

static inline pb_choice sample_choice(void)
{
    static char attempts[][PB_SNAPSHOT_ID_SIZE] = {"20261124T052049Z-0001"};
    static pb_source sources[] = {{.name = SAMPLE_TEXT("s3://a"),
                                   .prefix = SAMPLE_TEXT(""),
                                   .name_space = SAMPLE_TEXT(""),
                                   .newest = "20261123T000000Z-000a"},
                                  {.name = SAMPLE_TEXT("s3://b"),
                                   .prefix = SAMPLE_TEXT("p/"),
                                   .name_space = SAMPLE_TEXT("prod"),
                                   .newest = ""}};
    return (pb_choice){attempts, 1, sources, 2};
}

static inline pb_backup_result sample_backup(void)
{
    return (pb_backup_result){
        .snapshot = sample_snapshot(),
        .resumed = true,
        .resumed_objects = 777,
        .server_side = true,
        .gone_objects = 888,
        .elapsed_ms = 201500,
    };
}

static inline pb_restore_result sample_restore(void)
{
    return (pb_restore_result){
        .choice = sample_choice(),
        .snapshot = sample_snapshot(),
        .objects = 5554,
        .written_objects = 4001,
        .written_bytes = 41 << 20,
        .present_objects = 1500,
        .extra_objects = 42,
        .differing_objects = 43,
        .failed_objects = 44,
        .databases = 2,
        .kubernetes_objects = 45,
        .helm_objects = 3,
        .server_side = true,
        .elapsed_ms = 62500,
    };
}

static inline pb_verify_result sample_verify(void)
{
    return (pb_verify_result){
        .choice = sample_choice(),
        .snapshot = sample_snapshot(),
        .objects = 5553,
        .orphans = 71,
        .bytes_read = 32 << 20,
        .proven_sha256 = 1101,
        .proven_checksum = 1102,
        .proven_etag = 1103,
        .proven_key = 1104,
        .unproven = 1143,
        .unread_objects = 7,
        .artifacts = 4,
        .chunks_needed = 6162,
        .findings = 1200,
        .elapsed_ms = 63500,
    };
}

static inline pb_copy_result sample_copy(void)
{
    return (pb_copy_result){
        .objects = 5552,
        .copied_objects = 5001,
        .copied_bytes = 33 << 20,
        .unchanged_objects = 501,
        .extra_objects = 46,
        .failed_objects = 50,
        .server_side = true,
        .elapsed_ms = 64500,
    };
}

#endif
