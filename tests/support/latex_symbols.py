"""The symbols of the formulas in a Markdown text: what a reader may want to look up."""

from __future__ import annotations

import re

# Decorations belong to the letter under them: \hat x is not x.
DECORATIONS = {"hat", "tilde", "bar", "mathcal", "mathbb"}
# Commands that every reader knows, or that only place what is around them.
ORDINARY = set(
    """
    Delta approx arg big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr bigm cdot cdots cap circ colon cosh cup
    dfrac displaystyle dot dots ell exists exp forall frac ge geq gets gg gtrsim iff Iff implies in inf infty int
    ldots le left leftarrow leq lesssim lim limits ll ln log longrightarrow lVert lvert mapsto max mid min nabla ne
    neq nolimits notin odot partial perp pm prod propto qquad quad right rightarrow Rightarrow rVert rvert setminus
    sim simeq sinh sqrt square subset subseteq sum sup tanh text tfrac times to top underbrace overbrace Vert vert
    xrightarrow
    """.split()
)
# Scripts made of these only say which one of its kind, or are powers: s_n, x_0, R^{(k)}, d^2, p_t.
PLACE = re.compile(r"(?:[nijkmts0-9]|[-+=(),/]|\\ldots|\\dots|\\ge|\\lambda|\\,|\\;|\s)*")
# Their scripts are conditions, ranges or exponents, never a part of the name.
BARE = {r"\mathbb E", r"\mathbb P", r"\operatorname{Var}", r"\operatorname{Cov}", r"\gamma"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\S")


def formulas(text: str) -> list[str]:
    """What stands between dollar signs, displayed or in a line; code is no formula."""
    text = re.sub(r"(?<!`)`[^`\n]+`(?!`)", " ", text)
    return [
        displayed or inline for displayed, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, flags=re.DOTALL)
    ]


def symbols(formula: str) -> set[str]:
    r"""The symbols of a formula in one spelling, with decorations, and with the scripts that name something.

    `Q^*_\mu(s_n, \hat x_0)` has the symbols `Q^{*}_{\mu}`, `\mu`, `s` and `\hat x`.
    """
    formula = re.sub(r"\\(?:text|textbf|begin|end|label|tag)\{[^{}]*\}", " ", formula)
    formula = re.sub(r"\\mathrm(?: +d|\{d\})", " ", formula)  # of an integral or a derivative
    found: set[str] = set()
    _collect(TOKEN.findall(formula.replace(r"\varepsilon", r"\epsilon")), found)
    return found


def _collect(tokens: list[str], found: set[str]) -> None:
    at = 0
    while at < len(tokens):
        name, at = _name(tokens, at)
        scripts: dict[str, str] = {}
        while name and at < len(tokens) and tokens[at] in ("_", "^", "'", r"\!"):
            kind = tokens[at]
            inner, at = _argument(tokens, at + 1) if kind in "_^" else ([], at + 1)
            script = re.sub(r"_\d", "", _spelled(inner))  # τ_1 names the same kind of thing as τ
            if not PLACE.fullmatch(script) and name not in BARE:
                scripts[kind] = script
            if not re.fullmatch(r"[A-Za-z]{2,}|\\operatorname\{\w+\}", script):  # a word is no product of letters
                _collect(inner, found)
        if name:
            found.add(name + "".join(f"{kind}{{{scripts[kind]}}}" for kind in sorted(scripts, reverse=True)))


def _name(tokens: list[str], at: int) -> tuple[str | None, int]:
    """The symbol without its scripts that begins at `at`, or None where none does, and where it ends."""
    token = tokens[at]
    command = token[1:] if token.startswith("\\") else None
    if command in ("mathrm", "operatorname"):
        inner, end = _argument(tokens, at + 1)
        return rf"\operatorname{{{''.join(inner)}}}", end
    if command in DECORATIONS:
        inner, end = _argument(tokens, at + 1)
        return f"{token} {_spelled(inner)}", end
    is_name = command.isalpha() and command not in ORDINARY if command is not None else token.isalpha()
    exponential = token == "e" and tokens[at + 1 : at + 2] == ["^"]
    return (token if is_name and not exponential else None), at + 1


def _argument(tokens: list[str], at: int) -> tuple[list[str], int]:
    """The tokens of the argument that begins at `at`, without its braces, and where it ends."""
    if tokens[at] in (r"\mathrm", r"\operatorname"):
        inner, end = _argument(tokens, at + 1)
        return [tokens[at], "{", *inner, "}"], end
    if tokens[at] != "{":
        return [tokens[at]], at + 1
    depth, end = 1, at + 1
    while depth:
        depth += {"{": 1, "}": -1}.get(tokens[end], 0)
        end += 1
    return tokens[at + 1 : end - 1], end


def _spelled(tokens: list[str]) -> str:
    text = "".join(token + " " if re.fullmatch(r"\\[A-Za-z]+", token) else token for token in tokens)
    text = re.sub(r"\\mathrm *\{", r"\\operatorname{", text)
    return re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
