# Sourced by shell tests: what no_clouds.py does for the others.
for name in $(compgen -e); do
    case $name in
    AWS_* | GOOGLE_* | GCE_METADATA_* | CLOUDSDK_* | AZURE_* | PBCOPY_SOURCE_* | PBCOPY_REPOSITORY_* | \
        PBCOPY_DESTINATION_* | STORAGE_EMULATOR_HOST) unset "$name" ;;
    esac
done
set -a
# shellcheck disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/no_clouds.env"
set +a
