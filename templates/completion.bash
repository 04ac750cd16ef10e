_ckfunc_completion() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" one typed
    COMPREPLY=()
    for one in $(env COMP_LINE="$line" COMP_WORDS= COMP_CWORD=0 _CKFUNC_COMPLETE=bash_complete "$1"); do
        COMPREPLY+=("${one#*,}")
    done
    typed="${line##*[[:space:]]}"
    case "$typed" in
        *[@=:]*)
            # Bash replaces only what follows the last of these.
            typed="${typed%"${typed##*[@=:]}"}"
            case "$typed" in *=*) typed="${typed##*=}" ;; esac
            COMPREPLY=("${COMPREPLY[@]#"$typed"}")
            ;;
    esac
}
complete -o nosort -F _ckfunc_completion ckfunc 2>/dev/null || complete -F _ckfunc_completion ckfunc
