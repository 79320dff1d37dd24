#!/usr/bin/env bash
# Makes the database at the first start, and hands over to PostgreSQL.
#
#   POSTGRES_PASSWORD          password of the superuser; needed
#   POSTGRES_USER              its name, else postgres
#   POSTGRES_DB                the first database, else named like the user
#   POSTGRES_INITDB_ARGS       more arguments for initdb
#   POSTGRES_INITDB_WALDIR     where the write-ahead log goes
#   POSTGRES_HOST_AUTH_METHOD  how others log in, else by password
#   PGDATA                     where the files are
#
# Each of the first four may come from a file instead: NAME_FILE. Files in
# /docker-entrypoint-initdb.d (*.sh, *.sql, also .gz, .xz, .zst) are run once.
set -Eeuo pipefail

say() { printf 'docker-entrypoint: %s\n' "$*"; }
fail() { say "$@" >&2; exit 1; }

# Sets the variable $1 from itself, from the file that $1_FILE names, or to $2.
setting() {
    local name=$1 from="${1}_FILE" value
    if [ -n "${!name-}" ] && [ -n "${!from-}" ]; then
        fail "both $name and $from are set: leave one of them out"
    fi
    value=${!name:-${2-}}
    if [ -n "${!from-}" ]; then
        [ -r "${!from}" ] || fail "$from names ${!from}, which cannot be read"
        value=$(<"${!from}")
    fi
    export "$name=$value"
    unset "$from"
}

# Options that only print something need no database.
asks_for_help() {
    local word
    for word; do
        case "$word" in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

make_folders() {
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA" || true
    if [ "$(id -u)" = 0 ]; then
        find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres '{}' +
        if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
            mkdir -p "$POSTGRES_INITDB_WALDIR"
            chmod 0700 "$POSTGRES_INITDB_WALDIR"
            find "$POSTGRES_INITDB_WALDIR" ! -user postgres -exec chown postgres '{}' +
        fi
    fi
}

check_password() {
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        say "anybody who reaches the port is let in without a password (POSTGRES_HOST_AUTH_METHOD=trust)" >&2
    elif [ -z "$POSTGRES_PASSWORD" ]; then
        fail "there is no database yet and no password for its superuser: set POSTGRES_PASSWORD" \
            "to a password that is not empty (-e POSTGRES_PASSWORD=...), or let everybody in" \
            "without one (-e POSTGRES_HOST_AUTH_METHOD=trust)"
    fi
}

# The file is there while the first start is at work; one that was cut short
# must not be taken for a finished database.
UNFINISHED=.first-start

make_database() {
    local arguments=(--username="$POSTGRES_USER") more=()
    getent passwd "$(id -u)" > /dev/null \
        || fail "the user $(id -u) has no name here: start as root, as postgres, or as a user of the image"
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        arguments+=(--waldir="$POSTGRES_INITDB_WALDIR")
    fi
    # Words as a shell would read them, without running anything.
    mapfile -t more < <(xargs --no-run-if-empty -n1 printf '%s\n' <<< "$POSTGRES_INITDB_ARGS")
    initdb "${arguments[@]}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        ${more[@]+"${more[@]}"}
    : > "$PGDATA/$UNFINISHED"
    local method=$POSTGRES_HOST_AUTH_METHOD
    if [ -z "$method" ]; then
        method=$(postgres -C password_encryption)
    fi
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

sql() {
    psql --set ON_ERROR_STOP=1 --no-psqlrc --no-password --quiet --username "$POSTGRES_USER" "$@"
}

# What a script may use, under the name that it has in the official image.
docker_process_sql() { sql --dbname "$POSTGRES_DB" "$@"; }

make_first_database() {
    local there
    there=$(sql --dbname postgres --set name="$POSTGRES_DB" --tuples-only \
        <<< "SELECT 1 FROM pg_database WHERE datname = :'name';")
    if [ -z "$there" ]; then
        sql --dbname postgres --set name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";'
    fi
}

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh)
                if [ -x "$file" ]; then
                    say "running $file"
                    "$file"
                else
                    say "reading $file"
                    . "$file"
                fi
                ;;
            *.sql) say "running $file"; docker_process_sql --file "$file" ;;
            *.sql.gz) say "running $file"; gunzip --stdout "$file" | docker_process_sql ;;
            *.sql.xz) say "running $file"; xzcat "$file" | docker_process_sql ;;
            *.sql.zst) say "running $file"; zstdcat "$file" | docker_process_sql ;;
            '/docker-entrypoint-initdb.d/*') ;;
            *) say "leaving out $file" ;;
        esac
    done
}

first_start() {
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    check_password
    make_database
    # Nobody outside may come in before all is ready.
    pg_ctl --pgdata "$PGDATA" --silent --wait start \
        --options "-c listen_addresses='' -c logging_collector=off"
    make_first_database
    run_scripts
    pg_ctl --pgdata "$PGDATA" --silent --wait --mode fast stop
    rm "$PGDATA/$UNFINISHED"
    unset POSTGRES_PASSWORD
    say "the database is made; PostgreSQL starts now"
}

main() {
    case "${1-}" in
        '' | -*) set -- postgres "$@" ;;
    esac
    if [ "$1" != postgres ] || asks_for_help "$@"; then
        exec "$@"
    fi
    make_folders
    if [ "$(id -u)" = 0 ]; then
        export HOME=/var/lib/postgresql
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    if [ -e "$PGDATA/$UNFINISHED" ]; then
        fail "the first start with $PGDATA was cut short: empty it (or take a new volume) and start again"
    elif [ ! -s "$PGDATA/PG_VERSION" ]; then
        first_start
    else
        say "the database is there already"
    fi
    exec "$@"
}

# A script of one's own may read this one for its functions.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
