# Completion of goallocctl for bash. What may stand where, goallocctl itself tells.

_goallocctl() {
    local words=() word i last line
    # bash takes "--class=5" for three words.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        last=$((${#words[@]} - 1))
        if [[ $last -ge 0 && ($word == = || ${COMP_WORDS[i - 1]} == =) &&
            ${words[last]} == --* ]]; then
            words[last]+=$word
        else
            words+=("$word")
        fi
    done
    word=${words[-1]-}
    [[ $word == --*=* && ${COMP_WORDBREAKS-} == *=* ]] && word=${word#*=}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        case $line in
        :file)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            ;;
        :program)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -c -- "$word" && compgen -f -- "$word" | sort -u)
            ;;
        --*=*)
            [[ ${COMP_WORDBREAKS-} == *=* ]] && line=${line#*=}
            COMPREPLY+=("$line")
            ;;
        *) COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -F _goallocctl goallocctl
