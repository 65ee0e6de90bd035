# Completion of tradecloud-spool's command line, for bash.
# shellcheck shell=bash

# The names of a state's entries: those are [A-Za-z0-9._-] only.
_tradecloud_spool_names() {
    local state
    for state; do
        "$program" list "$state" 2>/dev/null | cut -f 1
    done
}

# The words that may stand at the cursor, a line each.
_tradecloud_spool_words() {
    local program=$1 command=$2 before=$3
    case $before in
    --jobs | --attempts | --timeout | --type | --max-age | --max-failed | --older-than) return ;;
    esac
    case $command in
    '') printf '%s\n' run list show retry reject prune status check follow --help --version ;;
    run) printf '%s\n' --watch --jobs --attempts --timeout --type --strict-order --help -- ;;
    list) printf '%s\n' new work 'done' failed rejected --json --help ;;
    show)
        printf '%s\n' --data --help
        _tradecloud_spool_names new work 'done' failed rejected
        ;;
    retry)
        printf '%s\n' --all --help
        _tradecloud_spool_names failed
        ;;
    reject)
        printf '%s\n' --help
        _tradecloud_spool_names new failed
        ;;
    prune) printf '%s\n' 'done' failed rejected --older-than --force --help ;;
    status) printf '%s\n' --json --prometheus --max-age --max-failed --help ;;
    check | follow) printf '%s\n' --json --help ;;
    esac
}

_tradecloud_spool() {
    local current=${COMP_WORDS[COMP_CWORD]} command='' i
    if [ "$COMP_CWORD" -gt 1 ]; then
        command=${COMP_WORDS[1]}
    fi
    COMPREPLY=()
    # Behind -- stands another command, with files.
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [ "$command" = run ] && [ "${COMP_WORDS[i]}" = -- ]; then
            mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
            return
        fi
    done
    mapfile -t COMPREPLY < <(compgen -W "$(_tradecloud_spool_words "${COMP_WORDS[0]}" "$command" \
        "${COMP_WORDS[COMP_CWORD - 1]}")" -- "$current")
}

complete -F _tradecloud_spool tradecloud-spool
