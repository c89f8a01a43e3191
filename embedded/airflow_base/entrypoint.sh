#!/bin/bash
# Entry point of the local stand-in for Apache's Airflow image; it does what the stack relies on in the original:
# group-writable files, a check of the metadata database first (CONNECTION_CHECK_MAX_COUNT=0 turns it off), `bash` and `python` as they
# are, anything else as arguments of `airflow`. It never migrates the database and never makes a user.
set -euo pipefail

if [[ $(id -g) != 0 && $(id -u) != 50000 ]]; then
    echo "this image must run with group 0, it runs with $(id -u):$(id -g)" >&2
    exit 1
fi
umask 0002
whoami &> /dev/null || export HOME="${AIRFLOW_USER_HOME_DIR}"

tries="${CONNECTION_CHECK_MAX_COUNT:-20}"
while ((tries > 0)) && ! answer=$(airflow db check 2>&1); do
    if ((--tries == 0)); then
        echo "the metadata database does not answer: ${answer}" >&2
        exit 1
    fi
    sleep "${CONNECTION_CHECK_SLEEP_TIME:-3}"
done

case "${1:-}" in
    bash) exec /bin/bash "${@:2}" ;;
    python) exec python "${@:2}" ;;
    airflow) exec airflow "${@:2}" ;;
    *) exec airflow "$@" ;;
esac
