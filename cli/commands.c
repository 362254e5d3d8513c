#include "cli/commands.h"

#include <string.h>

#define OPERAND(name, member, need)                                                                \
    {                                                                                              \
        name, offsetof(pb_options, member), PB_OPERAND_##need                                      \
    }

static const pb_command_entry commands[] = {
    {
        .command = PB_COMMAND_BACKUP,
        .name = "backup",
        .operands = {OPERAND("SOURCE", source, FROM_CLUSTER),
                     OPERAND("REPOSITORY", repository, CONFIGURED)},
        .summary = "copy what is new in a bucket, or a whole cluster, into a repository",
        .description =
            "Backs up all objects of SOURCE, or those under --prefix, as one more snapshot of "
            "REPOSITORY. An empty bucket or prefix becomes a repository with its first backup.\n\n"
            "Only objects that are new or changed since the last snapshot of the same source are "
            "copied; inside one store the store itself copies them. Every snapshot restores by "
            "itself. A snapshot is there only once it is complete: a run that failed or was "
            "interrupted leaves none, and the same command goes on from where it ended. A first "
            "snapshot of nothing, and one that lacks more than half of the objects of the one "
            "before, are not committed unless --allow-empty or --allow-gone says so.\n\n"
            "The bucket may be in use meanwhile. pbcopy looks again at an object that changes "
            "while it is copied, and takes what is there then. It leaves out an object that is "
            "deleted. Such a snapshot is not of one moment: `show` prints until when pbcopy looked "
            "at the bucket. --strict fails instead.\n\n"
            "With --namespace, or with a `namespace` in pbcopy.yaml and no operand, it backs up "
            "the whole Pachyderm of that namespace: bucket, databases and Kubernetes objects. "
            "SOURCE may then be missing: it is what the cluster uses, and a single operand is "
            "REPOSITORY. In order: tools, rights, versions and places are checked; objects are "
            "copied while the cluster lives (--passes); every replica count is written down in "
            "the namespace; pachd, then pachw and the workers are scaled to 0 and their pods "
            "waited for; at once, what is left of the objects is copied, the databases are "
            "dumped and the Kubernetes objects captured; all counts are brought back; the "
            "chunks that the dump needs are compared with the copied objects; the snapshot is "
            "committed.\n\n"
            "Whatever goes wrong, or when it is interrupted, the counts are brought back first and "
            "nothing is committed. If pbcopy itself was killed meanwhile, the next backup or "
            "`pbcopy resume`, on any machine, brings them back.",
        .examples =
            {
                {"Back up a bucket of AWS into another one, with the default profile:",
                 "pbcopy backup s3://pachyderm-data s3://pachyderm-backup"},
                {"From MinIO to a directory:",
                 "pbcopy backup 's3://data?endpoint=http://minio:9000' file:///srv/backup"},
                {"A whole cluster; with the public key alone, this machine cannot read its "
                 "secrets:",
                 "pbcopy backup --namespace pachyderm --recipient \"$(cat age.pub)\" "
                 "s3://pachyderm-backup"},
                {"How long would it be down?", "pbcopy backup --namespace pachyderm --plaintext "
                                               "s3://pachyderm-backup --dry-run"},
            },
    },
    {
        .command = PB_COMMAND_RESTORE,
        .name = "restore",
        .operands = {OPERAND("REPOSITORY", repository, CONFIGURED),
                     OPERAND("DESTINATION", destination, CONFIGURED)},
        .summary = "write a snapshot back into a bucket, or into a whole new cluster",
        .description =
            "Writes all objects of a snapshot, the newest unless --snapshot says otherwise, to "
            "DESTINATION, and checks each against what the snapshot knows of its bytes. Where the "
            "repository holds snapshots of several sources, --source or --snapshot must say which "
            "is meant.\n\n"
            "Objects that are there already and the same are left alone, so that a second run goes "
            "on from where the first ended. Objects with other bytes, and those that are older "
            "than the source's last change and may have other metadata, are left alone too, and "
            "the run fails, unless --overwrite is given. Nothing is ever deleted. At the end the "
            "listing of DESTINATION must show what was written.\n\n"
            "A store that keeps objects as files changes some keys: \"a//b\" becomes \"a/b\". "
            "Where such keys are to be written, pbcopy first probes DESTINATION with a few objects "
            "below pbcopy-probe-*, which it deletes again, and refuses the keys that the store "
            "changes, one by one.\n\n"
            "With --namespace, or with a `namespace` in pbcopy.yaml and no operand, it restores a "
            "whole Pachyderm into that namespace. In order: tools, rights and versions are "
            "checked, and that neither the namespace holds a Pachyderm nor a live one uses the "
            "bucket; objects are written to DESTINATION; the databases are restored, each in one "
            "transaction; the Kubernetes objects are edited as the options below and --edits say, "
            "and created with no replicas; they are scaled up to the recorded counts; their pods "
            "are waited for; with --address, pachctl is pointed at the new cluster.\n\n"
            "A database is restored whole or not at all, and pods start last, so that a failure "
            "leaves nothing running over half of the data. What was written stays: the same "
            "command goes on with the objects; a database that was restored by then is refused, "
            "unless --overwrite-database is given. --dry-run shows the whole plan, and every edit "
            "as old -> new.\n\n"
            "A repository is not trusted more than need be. With --identity, dumps and captures "
            "that are not encrypted are refused unless --plaintext is said, and so is a kind of "
            "dump that --dump does not name. psql gets of a dump only what pg_dump writes, none of "
            "psql's own commands. Of a capture only namespaced objects are applied; those that "
            "give rights or reach the host need --allow-privileged.",
        .examples =
            {
                {"Restore the newest snapshot into an empty bucket:",
                 "pbcopy restore s3://pachyderm-backup s3://pachyderm-data-new"},
                {"Restore one folder of an older one into a directory:",
                 "pbcopy restore s3://pachyderm-backup file:///tmp/restored "
                 "--snapshot 20261123T052049Z-3f9a --prefix chunk/"},
                {"A whole cluster, into another bucket and another Cloud SQL instance:",
                 "pbcopy restore s3://pachyderm-backup s3://pachyderm-new --namespace pachyderm "
                 "--identity age.key --bucket s3://pachyderm-new "
                 "--cloudsql-instance project:region:instance --allow-privileged"},
            },
    },
    {
        .command = PB_COMMAND_VERIFY,
        .name = "verify",
        .operands = {OPERAND("REPOSITORY", repository, CONFIGURED)},
        .summary = "find out whether what a snapshot promises is there and intact",
        .description =
            "Compares the objects in REPOSITORY with the manifest of a snapshot, the newest unless "
            "--snapshot says otherwise; where there are several sources, --source or --snapshot "
            "must say which is meant. Without --read, listings are compared: every object is "
            "there, of the right size and with the right ETag. With --read, every byte is read "
            "and hashed. With --database, the dumps of a cluster's snapshot are read to their end, "
            "and every chunk that they need must be among the objects; nothing is restored.\n\n"
            "What is found is printed as \"NAME: KEY: what is wrong\", where NAME is missing, "
            "truncated, mismatch, unreadable or manifest-damaged; up to 1,000 are named. "
            "Any finding makes the exit code 3. verify notes in the repository which objects are "
            "damaged, and the next backup copies these again. Where pbcopy finds nothing wrong but "
            "cannot read some objects, it says so and knows nothing of them: the exit code is 5 "
            "where the store does not answer, 4 where it refuses the login the right to them, else "
            "1.",
        .examples =
            {
                {"Compare listings, which takes a request for a thousand objects:",
                 "pbcopy verify s3://pachyderm-backup"},
                {"Read every byte:", "pbcopy verify s3://pachyderm-backup --read"},
                {"Does the database have all of its chunks?",
                 "pbcopy verify s3://pachyderm-backup --database --identity age.key"},
            },
    },
    {
        .command = PB_COMMAND_SNAPSHOTS,
        .name = "snapshots",
        .operands = {OPERAND("REPOSITORY", repository, CONFIGURED)},
        .summary = "list the snapshots of a repository",
        .description =
            "Prints, for each source, a line for each of its snapshots, oldest first. \"new\" is "
            "what the snapshot had to copy. \"unfinished\" is a run that goes on or that ended "
            "without a snapshot; the next backup of the same source uses what it copied, and then "
            "calls it abandoned (--all).",
        .examples =
            {
                {"List them:", "pbcopy snapshots s3://pachyderm-backup"},
                {"The id of the newest one:",
                 "pbcopy snapshots s3://pachyderm-backup --json | "
                 "jq -r '[.snapshots[] | select(.state == \"complete\")][-1].id'"},
            },
    },
    {
        .command = PB_COMMAND_SHOW,
        .name = "show",
        .operands = {OPERAND("REPOSITORY", repository, CONFIGURED)},
        .summary = "describe a snapshot, or print the records of its objects",
        .description = "Describes a snapshot, the newest unless --snapshot says otherwise; where "
                       "there are several sources, --source or --snapshot must say which is meant. "
                       "With --records, prints one JSON object a line for every object of it, in "
                       "the order of keys, and nothing else.",
        .examples =
            {
                {"Describe the newest snapshot:", "pbcopy show s3://pachyderm-backup"},
                {"Which objects are larger than a gigabyte?",
                 "pbcopy show s3://pachyderm-backup --records | "
                 "jq -r 'select(.size > 1e9) | .key'"},
            },
    },
    {
        .command = PB_COMMAND_COPY,
        .name = "copy",
        .operands = {OPERAND("SOURCE", source, NEEDED),
                     OPERAND("DESTINATION", destination, NEEDED)},
        .summary = "copy what is new or changed from one bucket to another",
        .description =
            "Copies objects that are not in DESTINATION or differ there, without a repository and "
            "without a manifest. Objects of equal size and ETag that were written after the "
            "source's last change are left alone; between stores whose ETags cannot be compared, "
            "those of equal size. Nothing is ever deleted. At the end the listing of DESTINATION "
            "must show what was copied. Keys that DESTINATION would change are refused, as restore "
            "does.",
        .examples =
            {
                {"Bucket to bucket:", "pbcopy copy s3://data s3://data-copy"},
                {"What would a copy from a directory do?",
                 "pbcopy copy file:///srv/data s3://data --dry-run"},
            },
    },
    {
        .command = PB_COMMAND_INIT,
        .name = "init",
        .summary = "write a pbcopy.yaml to begin with",
        .description =
            "Writes a configuration with a word on each line, to ./pbcopy.yaml or where --config "
            "says. With --from-cluster it is filled in with what the namespace says: Pachyderm's "
            "version, bucket, database and workloads. No password or key of a store is written.\n\n"
            "A file that is there is never replaced, and the cluster is only read.",
        .examples =
            {
                {"Describe the cluster that kubectl talks to, and see what is missing:",
                 "pbcopy init --from-cluster --namespace pachyderm && pbcopy doctor"},
            },
    },
    {
        .command = PB_COMMAND_DOCTOR,
        .name = "doctor",
        .operands = {OPERAND("SOURCE", source, FROM_CLUSTER),
                     OPERAND("REPOSITORY", repository, OPTIONAL)},
        .summary = "say what would keep a backup of the cluster from working",
        .description =
            "Makes the rehearsal with which a backup of the cluster begins, and changes nothing in "
            "the "
            "cluster: the programs (kubectl, pg_dump, age, ...) and their versions, the rights in "
            "the namespace, the capture, the right to read all that pg_dump reads, that bucket and "
            "repository can be read and the repository, where there is one, be written (an object "
            "under probe/, which is deleted again). Also that the clock is right, that the buckets "
            "do not overlap, and that no suspension of a dead run is left.\n\n"
            "Every check is a line, with what is wrong and how to repair it. All of them are made, "
            "also after one that failed.",
        .examples =
            {
                {"With what pbcopy.yaml says:", "pbcopy doctor"},
                {"Without one:", "pbcopy doctor --namespace pachyderm s3://pachyderm-backup"},
            },
    },
    {
        .command = PB_COMMAND_SUSPEND,
        .name = "suspend",
        .summary = "scale down what writes to the cluster's state",
        .description =
            "Takes a Pachyderm down by hand, as a backup does: writes every replica count down in "
            "the namespace (ConfigMap pbcopy-suspension) before the first change; scales pachd to "
            "0 and waits until its pods are gone, as it would scale the others up again; then "
            "pachw and the workers likewise. Databases, etcd, proxies and the console stay up.\n\n"
            "It stays so until `pbcopy resume`. If pods do not go in time (--wait), or when it is "
            "interrupted, the counts are brought back and it fails.",
        .examples =
            {
                {"Down for maintenance, and up again:",
                 "pbcopy suspend --namespace pachyderm; pbcopy resume --namespace pachyderm"},
            },
    },
    {
        .command = PB_COMMAND_RESUME,
        .name = "resume",
        .summary = "scale up again what was suspended, by hand or by a run that died",
        .description =
            "Brings back the replica counts that `pbcopy suspend` or a backup wrote down in the "
            "namespace, pachd first, and removes the record. What was scaled by somebody else "
            "meanwhile is left alone, and named. It "
            "works from any machine that reaches the cluster, and can be repeated after any "
            "failure; where nothing is suspended it says so.\n\n"
            "A backup that seems to be alive is not disturbed, unless --take-over is given.",
        .examples =
            {
                {"The machine of the backup died; bring the cluster back from this one:",
                 "pbcopy resume --namespace pachyderm"},
            },
    },
    {
        .command = PB_COMMAND_CONNECT,
        .name = "connect",
        .summary = "point pachctl at a cluster",
        .description =
            "Makes a context of the name --cluster for the pachd at --address and makes it the "
            "active one: through pachctl where it is installed, else in its file ($PACH_CONFIG or "
            "~/.pachyderm/config.json). Other contexts and unknown fields stay as they are.",
        .examples =
            {
                {"After a restore behind a load balancer:",
                 "pbcopy connect --address grpc://203.0.113.7:30650 --cluster restored"},
            },
    },
    {
        .command = PB_COMMAND_HELP,
        .name = "help",
        .operands = {OPERAND("COMMAND", topic, OPTIONAL)},
        .summary = "explain a command",
        .description =
            "Prints what pbcopy does, or the page of one command. COMMAND may also be `man`, for "
            "the man page in roff, or `completion-bash`, for the completion of the shell.",
        .examples =
            {
                {"All about backups:", "pbcopy help backup"},
                {"Complete commands and options in this shell:",
                 "source <(pbcopy help completion-bash)"},
                {"Read the man page without installing it:", "pbcopy help man | man -l -"},
            },
    },
    {
        .command = PB_COMMAND_VERSION,
        .name = "version",
        .summary = "print the version",
        .description = "Prints the version.",
        .examples = {{"Which one is this?", "pbcopy version"}},
    },
};

enum {
    BACKUP = 1 << PB_COMMAND_BACKUP,
    RESTORE = 1 << PB_COMMAND_RESTORE,
    VERIFY = 1 << PB_COMMAND_VERIFY,
    SNAPSHOTS = 1 << PB_COMMAND_SNAPSHOTS,
    SHOW = 1 << PB_COMMAND_SHOW,
    COPY = 1 << PB_COMMAND_COPY,
    INIT = 1 << PB_COMMAND_INIT,
    DOCTOR = 1 << PB_COMMAND_DOCTOR,
    SUSPEND = 1 << PB_COMMAND_SUSPEND,
    RESUME = 1 << PB_COMMAND_RESUME,
    CONNECT = 1 << PB_COMMAND_CONNECT,
    WRITING = BACKUP | RESTORE | COPY,
    MOVING = WRITING | VERIFY,
    STORING = MOVING | SNAPSHOTS | SHOW,
    CLUSTER = BACKUP | RESTORE | INIT | DOCTOR | SUSPEND | RESUME,
    WORKING = STORING | CLUSTER | CONNECT,
    ALL = WORKING | 1 << PB_COMMAND_HELP | 1 << PB_COMMAND_VERSION,
};

#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)
#define AT(member) offsetof(pb_options, member)

/* Options of a cluster. */
#define FLAG(name, member, commands, meaning)                                                      \
    {                                                                                              \
        name, 0, NULL, PB_OPTION_FLAG, AT(member), 0, 0, 0, NULL, true, commands, meaning          \
    }
#define TEXT(name, value, member, commands, meaning)                                               \
    {                                                                                              \
        name, 0, value, PB_OPTION_TEXT, AT(member), 0, 0, 0, NULL, true, commands, meaning         \
    }
#define LIST(name, value, member, commands, meaning)                                               \
    {                                                                                              \
        name, 0, value, PB_OPTION_LIST, AT(member), 0, 0, 0, NULL, true, commands, meaning         \
    }
#define CHOICE(name, value, standard, member, commands, meaning)                                   \
    {                                                                                              \
        name, 0, value, PB_OPTION_CHOICE, AT(member), 0, 0, 0, standard, true, commands, meaning   \
    }
/* Options of any run. */
#define PLAIN NULL, false

static const pb_option_entry options[] = {
    {"take-over", 0, NULL, PB_OPTION_FLAG, AT(take_over), 0, 0, 0, PLAIN, BACKUP | RESUME,
     "go on at once where another run holds the source, or undo its suspension, without watching "
     "whether it lives. What it copied is used, and it can harm no snapshot if it does live: it "
     "ends with exit code 6"},
    {"no-wait", 0, NULL, PB_OPTION_FLAG, AT(no_wait), 0, 0, 0, PLAIN, BACKUP,
     "end with exit code 6 at once where another run holds the source, instead of waiting until it "
     "ends or turns out to be dead"},
    {"exclusive", 0, NULL, PB_OPTION_FLAG, AT(exclusive), 0, 0, 0, PLAIN, BACKUP,
     "use a repository whose store does not honour create-only writes, and promise that no other "
     "backup into it runs at the same time"},
    {"all", 0, NULL, PB_OPTION_FLAG, AT(all), 0, 0, 0, PLAIN, SNAPSHOTS,
     "list abandoned attempts too: runs that ended without a snapshot, and passes of a cluster's "
     "backup, whose copies later snapshots may use"},
    {"full", 0, NULL, PB_OPTION_FLAG, AT(full), 0, 0, 0, PLAIN, BACKUP,
     "copy every object again, whatever earlier snapshots hold; without it, a backup copies again "
     "what verify found damaged"},
    {"allow-empty", 0, NULL, PB_OPTION_FLAG, AT(allow_empty), 0, 0, 0, PLAIN, BACKUP,
     "commit a first snapshot though the source holds no object"},
    {"allow-gone", 0, NULL, PB_OPTION_FLAG, AT(allow_gone), 0, 0, 0, PLAIN, BACKUP,
     "commit though more than half of the objects of the snapshot before are gone"},
    {"strict", 0, NULL, PB_OPTION_FLAG, AT(strict), 0, 0, 0, PLAIN, BACKUP,
     "fail where an object changes or is deleted while it is copied"},
    {"snapshot", 0, "ID", PB_OPTION_SNAPSHOT, AT(snapshot), 0, 0, 0, PLAIN, RESTORE | VERIFY | SHOW,
     "this snapshot, as `pbcopy snapshots` names it; the newest complete one unless given"},
    {"source", 0, "URL", PB_OPTION_TEXT, AT(of_source), 0, 0, 0, PLAIN, RESTORE | VERIFY | SHOW,
     "the newest snapshot of this source, as the backup named it or as `pbcopy snapshots` does; "
     "needed where the repository holds snapshots of several"},
    {"read", 0, NULL, PB_OPTION_FLAG, AT(read), 0, 0, 0, PLAIN, VERIFY,
     "read and hash every byte instead of comparing listings"},
    {"database", 0, NULL, PB_OPTION_FLAG, AT(database), 0, 0, 0, PLAIN, VERIFY,
     "read the dumps of a cluster's snapshot too, and check that the snapshot holds each chunk "
     "that they need"},
    {"overwrite", 0, NULL, PB_OPTION_FLAG, AT(overwrite), 0, 0, 0, PLAIN, RESTORE,
     "replace objects of the destination that differ"},
    {"records", 0, NULL, PB_OPTION_FLAG, AT(records), 0, 0, 0, PLAIN, SHOW,
     "print every object's record as a line of JSON"},
    {"checksum", 0, "KIND", PB_OPTION_CHECKSUM, AT(checksum), 0, 0, 0, PLAIN, BACKUP | COPY,
     "hash bytes on their way through this machine with sha256, or with crc32c, which saves a "
     "third of the CPU time of large objects; sha256 unless given"},
    {"prefix", 0, "P", PB_OPTION_PREFIX, AT(prefix), 0, 0, 0, PLAIN, MOVING | SHOW,
     "only objects whose key begins with P; where snapshots of one source differ in the prefix "
     "that was backed up, those of exactly this one"},
    {"dry-run", 0, NULL, PB_OPTION_FLAG, AT(dry_run), 0, 0, 0, PLAIN, WRITING,
     "compare and say what would be done, and how long a cluster would be down; write nothing"},

    /* ---- a whole cluster ---- */
    {"namespace", 0, "NS", PB_OPTION_NAMESPACE, AT(name_space), 0, 0, 0, PLAIN,
     CLUSTER | VERIFY | SHOW,
     "the Kubernetes namespace of Pachyderm; makes a backup or restore one of the whole cluster. "
     "Inside a pod, its own namespace where neither this nor SOURCE is given. verify and show take "
     "the newest snapshot of this cluster"},
    TEXT("kubeconfig", "FILE", kubeconfig, CLUSTER,
         "how to reach the cluster; kubectl's own choice unless given ($KUBECONFIG, ~/.kube/config "
         "or the pod's service account)"),
    TEXT("kube-context", "NAME", kube_context, CLUSTER,
         "a context of the kubeconfig; its current one unless given"),
    CHOICE("kubernetes", "native|velero|none", "native", kubernetes, BACKUP | RESTORE | DOCTOR,
           "how Kubernetes objects are captured and restored: native, by pbcopy itself with "
           "kubectl; velero, by a Backup or Restore of Velero that must end as Completed; none, "
           "not at all; native unless given"),
    {"velero-namespace", 0, "NS", PB_OPTION_NAMESPACE, AT(velero_namespace), 0, 0, 0, "velero",
     true, BACKUP | RESTORE | DOCTOR, "where Velero runs; velero unless given"},
    CHOICE("dump", "databases|all|none", "databases", dump, BACKUP | RESTORE | DOCTOR,
           "what of PostgreSQL is dumped and restored: databases, that of Pachyderm and that of "
           "logins, each with pg_dump; all, the whole server with pg_dumpall; none, nothing, so "
           "that the snapshot alone brings no cluster back; databases unless given"),
    TEXT("database-host", "HOST", database_host, BACKUP | RESTORE | DOCTOR,
         "the PostgreSQL server as this machine reaches it, never a pg-bouncer; what pachd uses "
         "unless given"),
    {"database-port", 0, "N", PB_OPTION_NUMBER, AT(database_port), 0, 1, 65535, NULL, true,
     BACKUP | RESTORE | DOCTOR, "its port; what pachd uses unless given"},
    TEXT("database-user", "NAME", database_user, BACKUP | RESTORE | DOCTOR,
         "who logs in; what pachd uses unless given. The password comes from $PGPASSWORD, the "
         "cluster's secret or ~/.pgpass, never from an option"),
    TEXT("identity-database", "NAME", identity_database, BACKUP | DOCTOR,
         "the database of logins, or none where the cluster keeps no logins of its own; what pachd "
         "names in IDENTITY_SERVER_DATABASE unless given, and dex where it names none"),
    LIST("recipient", "KEY", recipients, BACKUP | DOCTOR,
         "encrypt dumps and captures to this public key of age or ssh; may be given more than "
         "once: any one of the secret keys opens them. They hold the key of every chunk and the "
         "cluster's secrets, so without a recipient a backup refuses"),
    FLAG("plaintext", plaintext, BACKUP | RESTORE | DOCTOR,
         "store dumps and captures readable by whoever can read the repository. A restore with "
         "--identity takes those that are not encrypted only with this: whoever can write to the "
         "repository can have put them there"),
    TEXT("identity", "FILE", identity, RESTORE | VERIFY,
         "the secret key of age or ssh that opens what was encrypted to a --recipient"),
    {"wait", 0, "SECONDS", PB_OPTION_NUMBER, AT(wait_s), 600, 1, 86400, NULL, true,
     BACKUP | RESTORE | SUSPEND,
     "how long pods, or Velero, are waited for before the run fails; 600 unless given"},
    {"grace", 0, "SECONDS", PB_OPTION_GRACE, AT(grace_s), 0, 1, 86400, NULL, true,
     BACKUP | SUSPEND | DOCTOR,
     "how long the pods that a suspension ends may take for it, where their own specs give them "
     "longer; it shortens the downtime, needs the right to delete pods, and ends what is not done "
     "by then as a crash does; the specs' own time unless given"},
    {"max-downtime", 0, "DURATION", PB_OPTION_DURATION, AT(max_downtime_s), 1800, 0, 7 * 86400,
     NULL, true, BACKUP,
     "how long the cluster may be suspended, in seconds, or as 30m or 2h: when it is over, the "
     "backup is ended and the cluster resumed; 30m unless given, 0 for no end"},
    {"passes", 0, "N", PB_OPTION_NUMBER, AT(passes), 1, 0, 8, NULL, true, BACKUP,
     "how often objects are copied while the cluster lives, before it is suspended for the rest, 0 "
     "to 8; each shortens the downtime; 1 unless given"},
    FLAG("from-cluster", from_cluster, INIT, "fill it in with what the namespace says"),

    /* ---- edits of a restore ---- */
    TEXT("edits", "FILE", edits, RESTORE,
         "a YAML file of the edits below, named as the options; an option goes before it"),
    TEXT("bucket", "URL", bucket, RESTORE,
         "let the restored Pachyderm use this bucket (pachyderm-storage-secret and STORAGE_URL, by "
         "version): s3://BUCKET?..., gs://BUCKET"),
    TEXT("bucket-credentials", "FILE", bucket_credentials, RESTORE,
         "put the credentials that this file holds into its pachyderm-storage-secret, in place of "
         "the captured ones: YAML, with the secret's own names (AMAZON_ID: ..., AMAZON_SECRET: "
         "...; GOOGLE_CRED: ...)"),
    TEXT("cloudsql-instance", "NAME", cloudsql_instance, RESTORE,
         "let its Cloud SQL proxy connect to this instance, PROJECT:REGION:INSTANCE"),
    TEXT("pachd-database-host", "HOST[:PORT]", pachd_database_host, RESTORE,
         "let its pachd and pg-bouncer use this PostgreSQL server"),
    TEXT("image-registry", "HOST[/PATH]", image_registry, RESTORE,
         "pull its images from this registry instead of the recorded one"),
    LIST("gcp-service-account", "[ACCOUNT=]EMAIL", gcp_service_account, RESTORE,
         "annotate its service accounts, or ACCOUNT alone, with this one of Google Cloud "
         "(iam.gke.io/gcp-service-account); may be given more than once"),
    LIST("aws-role", "[ACCOUNT=]ARN", aws_role, RESTORE,
         "likewise with a role of AWS (eks.amazonaws.com/role-arn)"),
    LIST("azure-client", "[ACCOUNT=]ID", azure_client, RESTORE,
         "likewise with a client of Azure (azure.workload.identity/client-id)"),
    FLAG("drop-service-account-secrets", drop_service_account_secrets, RESTORE,
         "take out the secrets that service accounts name: tokens of the old cluster"),
    FLAG("keep-paused", keep_paused, RESTORE,
         "leave a cluster paused that was backed up so (`pachctl enterprise pause`)"),
    FLAG("allow-live-bucket", allow_live_bucket, RESTORE,
         "restore though a live Pachyderm uses the bucket. Two clusters on one bucket delete each "
         "other's chunks: say this only when you know that the other is gone"),
    FLAG("allow-existing", allow_existing, RESTORE,
         "restore into a namespace that already has a Pachyderm: the restore suspends it first, "
         "and its "
         "objects are replaced"),
    FLAG("overwrite-database", overwrite_database, RESTORE,
         "drop what the databases hold already, in the transaction that restores them"),
    FLAG("allow-privileged", allow_privileged, RESTORE,
         "apply captured objects that give rights (Role, RoleBinding, and ClusterRole and "
         "ClusterRoleBinding of the namespace's accounts: left out without this) or "
         "whose pods reach their host (hostPath, hostNetwork, hostPID, privileged containers: "
         "refused without this). Whoever can write to the repository can have put them there; "
         "--dry-run names them"),
    TEXT("address", "HOST", address, RESTORE | CONNECT,
         "point pachctl at this pachd, as HOST[:PORT] or grpc[s]://HOST:PORT"),
    TEXT("cluster", "NAME", cluster, RESTORE | CONNECT, "how pachctl is to call the cluster"),

    /* ---- any run ---- */
    {"parallel", 0, "N", PB_OPTION_NUMBER, AT(parallel), 64, 1, 4096, PLAIN, STORING,
     "requests in flight at once, 1 to 4096; 64 unless given"},
    {"memory", 0, "SIZE", PB_OPTION_SIZE, AT(memory_bytes), 512 * MIB, 16 * MIB, TIB, PLAIN,
     STORING, "memory for data on its way, at least 16M; 512M unless given"},
    {"scratch", 0, "DIR", PB_OPTION_TEXT, AT(scratch), 0, 0, 0, PLAIN, MOVING | DOCTOR,
     "put temporary files there: listings of a store that lists in an order of its own, about 200 "
     "bytes an object, and what a dump is sorted for; $TMPDIR, else /var/tmp, unless given"},
    {"loops", 0, "N", PB_OPTION_NUMBER, AT(loops), 0, 0, 8, PLAIN, STORING,
     "threads that move data, up to 8; 0, the default, for one a core"},
    {"stall-timeout", 0, "SECONDS", PB_OPTION_NUMBER, AT(stall_s), 30, 1, 3600, PLAIN,
     STORING | DOCTOR,
     "give up a request that moves nothing for so long, and try again; 30 unless given"},
    {"patience", 0, "DURATION", PB_OPTION_DURATION, AT(patience_s), 900, 1, 7 * 86400, PLAIN,
     STORING | DOCTOR,
     "go on trying for so long (90s, 15m, 2h) while a store answers no request, or answers "
     "each with a fault of its own; 15m unless given"},
    {"limit-bytes", 0, "SIZE", PB_OPTION_SIZE, AT(limit_bytes), 0, 1024, TIB, PLAIN, MOVING,
     "send and receive no more than so much a second while data moves, at least 1K; no limit "
     "unless given"},
    {"limit-requests", 0, "N", PB_OPTION_NUMBER, AT(limit_requests), 0, 1, 1000000, PLAIN, MOVING,
     "send no more than so many requests a second while data moves; no limit unless given"},
    {"ca-bundle", 0, "FILE", PB_OPTION_TEXT, AT(ca_bundle), 0, 0, 0, PLAIN, STORING | DOCTOR,
     "certificates (PEM) to trust instead of the system's"},
    {"unsigned-payload", 0, NULL, PB_OPTION_FLAG, AT(unsigned_payload), 0, 0, 0, PLAIN,
     STORING | DOCTOR,
     "leave bodies out of signatures over plain HTTP too, which saves a hash of all that is sent"},
    {"config", 0, "FILE", PB_OPTION_TEXT, AT(config), 0, 0, 0, PLAIN, WORKING,
     "read this configuration; unless given, $PBCOPY_CONFIG, else ./pbcopy.yaml, else "
     "/etc/pbcopy/pbcopy.yaml, where there is one. init writes it"},
    {"json", 0, NULL, PB_OPTION_FLAG, AT(json), 0, 0, 0, PLAIN, WORKING,
     "print the result, or the error, as one JSON object on standard output"},
    {"verbose", 'v', NULL, PB_OPTION_COUNTED, AT(verbosity), 0, 0, 0, PLAIN, WORKING,
     "say more; -vv also tells of each request that failed and was tried again"},
    {"quiet", 'q', NULL, PB_OPTION_FLAG, AT(quiet), 0, 0, 0, PLAIN, WORKING,
     "no progress, no notes and no summary: errors, findings and what --json, snapshots and show "
     "print"},
    {"help", 'h', NULL, PB_OPTION_FLAG, AT(help), 0, 0, 0, PLAIN, ALL, "print this page"},
    {"version", 0, NULL, PB_OPTION_FLAG, AT(version), 0, 0, 0, PLAIN, ALL, "print the version"},
};

const pb_command_entry *pb_command_entries(size_t *ret_count)
{
    *ret_count = sizeof commands / sizeof *commands;
    return commands;
}

const pb_option_entry *pb_option_entries(size_t *ret_count)
{
    *ret_count = sizeof options / sizeof *options;
    return options;
}

const pb_command_entry *pb_command_entry_of(pb_command command)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].command == command)
            return &commands[i];
    return NULL;
}

const pb_command_entry *pb_command_entry_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const pb_option_entry *pb_option_entry_named(pb_slice name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (pb_slice_equal(name, pb_slice_of(options[i].name)))
            return &options[i];
    return NULL;
}

void pb_option_append_choices(const pb_option_entry *option, pb_buffer *buffer)
{
    for (const char *word = option->value; *word;) {
        size_t size = strcspn(word, "|");
        pb_buffer_append(buffer, word, size);
        word += size;
        if (*word)
            pb_buffer_append_text(buffer, strchr(++word, '|') ? ", " : " or ");
    }
}
