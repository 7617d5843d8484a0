# Completion of goallocd for bash: the options as its help tells them, and their values as far as they
# can be known.

_goallocd() {
    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} file name
    if [[ $word == = ]]; then
        word=
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    case $option in
    --socket | --restore | --config)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    --name)
        for file in /dev/shm/goalloc.*.meta; do
            name=${file#/dev/shm/goalloc.}
            name=${name%.meta}
            [[ -e $file && $name == "$word"* ]] && COMPREPLY+=("$name")
        done
        ;;
    --group) mapfile -t COMPREPLY < <(compgen -g -- "$word") ;;
    --allow-group) mapfile -t COMPREPLY < <(compgen -P "${word%"${word##*,}"}" -g -- "${word##*,}") ;;
    --allow-user) mapfile -t COMPREPLY < <(compgen -P "${word%"${word##*,}"}" -u -- "${word##*,}") ;;
    --mode) mapfile -t COMPREPLY < <(compgen -W '600 660 666' -- "$word") ;;
    --gc-percent) mapfile -t COMPREPLY < <(compgen -W 'off 50 100 200' -- "$word") ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$word") ;;
    --quota | --client-quota)
        compopt -o nospace 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -P "${word%"${word##*,}"}" \
            -W 'bytes= spans= mcaches= connections= roots= holds=' -- "${word##*,}")
        ;;
    --limit | --soft-limit | --reserve | --base | --ready-fd) ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null |
            sed -n 's/^  \(--[a-z-]*\).*/\1/p')" -- "$word")
        ;;
    esac
}
complete -F _goallocd goallocd
