"""What a shell must be told so that it asks `hsm` for completions."""

from __future__ import annotations

from collections.abc import Mapping

BASH = r"""# Completion of hsm for bash 4 or newer. To install it for good, once:
#     mkdir -p ~/.local/share/bash-completion/completions
#     hsm completion bash > ~/.local/share/bash-completion/completions/hsm
# or, for this shell alone:  eval "$(hsm completion bash)"

_hsm_complete() {
    local kind text told
    COMPREPLY=()
    while IFS=$'\t' read -r kind text told; do
        case $kind in
            file) compopt -o default -o bashdefault 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            partial) compopt -o nospace 2>/dev/null; COMPREPLY+=("$text") ;;
            word) COMPREPLY+=("$text") ;;
        esac
    done < <(_HSM_COMPLETE=bash _HSM_BREAKS=$COMP_WORDBREAKS "$1" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o nosort -F _hsm_complete hsm 2>/dev/null || complete -F _hsm_complete hsm
"""

ZSH = r"""#compdef hsm
# Completion of hsm for zsh. To install it for good, once:
#     hsm completion zsh > ~/.zfunc/_hsm
# with `fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit` in ~/.zshrc
# or, for this shell alone:  eval "$(hsm completion zsh)"

_hsm() {
    local kind text told
    local -a whole parts
    while IFS=$'\t' read -r kind text told; do
        case $kind in
            file) _files ;;
            dir) _files -/ ;;
            partial) parts+=("$text") ;;
            word) whole+=("${text//:/\\:}${told:+:$told}") ;;
        esac
    done < <(_HSM_COMPLETE=zsh ${words[1]} "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#parts )) && compadd -S '' -- $parts
    (( $#whole )) && _describe -V hsm whole
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then _hsm "$@"; else compdef _hsm hsm; fi
"""

FISH = r"""# Completion of hsm for fish. To install it for good, once:
#     hsm completion fish > ~/.config/fish/completions/hsm.fish
# or, for this shell alone:  hsm completion fish | source

function __hsm_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in (env _HSM_COMPLETE=fish $before "$current" 2>/dev/null)
        set -l part (string split \t -- $line)
        switch $part[1]
            case file
                __fish_complete_path $current
            case dir
                __fish_complete_directories $current
            case '*'
                printf '%s\t%s\n' $part[2] $part[3]
        end
    end
end
complete -c hsm -f -k -a '(__hsm_complete)'
"""

SCRIPTS: Mapping[str, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}
