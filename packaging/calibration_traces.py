"""Writes the traces of the calibration text: arithmetic that is worked out aloud, and checked.

    python packaging/calibration_traces.py > quantize/ponder_quantize/calibration/traces.txt

Seeded: the same every time, which a test holds it to. Questions are ponder's own; the thinking
is built here, in eight languages, in the way in which reasoning models talk to themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ponder.evaluation.arithmetic import Draft, Number, Operator, evaluate, show, value_of
from ponder.evaluation.dice import Dice
from ponder.evaluation.questions import drafts

_SEED = 20
_ENGLISH, _OTHERS = 150, 14
"""How many: in English, and in each other language."""

_KINDS = (
    "expression", "number-chain", "numbers", "school-orders", "hall", "wages", "journey",
    "heaps", "dial",
)  # fmt: skip
"""Expressions and one file of the bank: the other files may grow without a change here."""

_SIGNS = {
    Operator.PLUS: "+", Operator.MINUS: "-", Operator.TIMES: "×", Operator.OVER: "÷",
    Operator.MOD: "mod", Operator.PERCENT: "% of",
}  # fmt: skip
_ORDERED = tuple(_SIGNS)[:5]


@dataclass(frozen=True, slots=True)
class Voice:
    """How one language thinks aloud; {braces} are filled in."""

    question: str
    orders: dict[Operator, str]
    asks: str
    opening: tuple[str, ...]
    step: tuple[str, ...]
    check: tuple[str, ...]
    doubt: tuple[str, ...]
    closing: tuple[str, ...]
    answer: tuple[str, ...]
    between: str = ". "
    """What stands between two orders."""


def orders(plus: str, minus: str, times: str, over: str, mod: str) -> dict[Operator, str]:
    """The five operations in words."""
    return dict(zip(_ORDERED, (plus, minus, times, over, mod), strict=True))


ENGLISH = Voice(
    "",
    {},
    "",
    (
        "Okay, let me work through this step by step.",
        "Let me see. I'll go through it in order and keep track of the number.",
        "Alright, so I need to be careful with the order here.",
        "Hmm, let me first write down what is given.",
        "First, let me understand what is being asked.",
    ),
    (
        "{left} {sign} {right} = {result}.",
        "Next, {left} {sign} {right}. That gives {result}.",
        "Then {left} {sign} {right} = {result}.",
        "So now {left} {sign} {right}, which is {result}.",
        "After that: {left} {sign} {right} = {result}.",
    ),
    (
        "Let me double-check that: {proof}. Yes, {result}.",
        "Wait, is that right? {proof}. Good.",
        "To be safe, {proof}, so {result} is correct.",
        "Let me verify by going backwards: {proof}. Okay.",
    ),
    (
        "Hmm, for a moment I had {wrong} there, but that can't be: {proof}. So it is {result}.",
        "Wait, I first wrote {wrong}. Let me redo it: {proof}. So {result}, not {wrong}.",
        "No, hold on. {wrong} would be wrong, because {proof}. It is {result}.",
    ),
    (
        "So the final result is {answer}.",
        "I've gone through every step, so the answer should be {answer}.",
        "That was the last step. The answer is {answer}.",
        "Everything is used up now, and we end with {answer}.",
    ),
    (
        "The answer is \\(\\boxed{{{answer}}}\\).",
        "**Final Answer**\n\\[\\boxed{{{answer}}}\\]",
        "Working through the steps in order gives \\(\\boxed{{{answer}}}\\).",
    ),
)

OTHERS = (
    Voice(
        "从 {start} 开始。{orders}。",
        orders("加上 {n}", "减去 {n}", "乘以 {n}", "除以 {n}", "求除以 {n} 的余数"),
        "最后得到多少？",
        ("好的，我一步一步来算。", "先看看题目，按顺序计算就可以了。"),
        ("{left} {sign} {right} = {result}。", "接下来，{left} {sign} {right}，得到 {result}。"),
        ("检查一下：{proof}，没错。", "再验算一遍，{proof}，所以是 {result}。"),
        ("等等，我刚才算成了 {wrong}，不对。{proof}，应该是 {result}。",),
        ("所以最后的结果是 {answer}。", "所有步骤都做完了，答案是 {answer}。"),
        ("答案是 \\(\\boxed{{{answer}}}\\)。",),
        "，",
    ),
    Voice(
        "Empieza con {start}. {orders}.",
        orders("Suma {n}", "Resta {n}", "Multiplica por {n}", "Divide entre {n}",
               "Toma el resto al dividir entre {n}"),
        "¿Qué número queda?",
        ("Bien, voy paso a paso.", "A ver, sigo las operaciones en orden."),
        ("{left} {sign} {right} = {result}.", "Después, {left} {sign} {right}, que da {result}."),
        ("Compruebo: {proof}. Correcto.", "Para estar seguro: {proof}, así que {result}."),
        ("Un momento, había puesto {wrong}, pero {proof}. Es {result}.",),
        ("Por tanto, el resultado es {answer}.", "Esa era la última operación: {answer}."),
        ("La respuesta es \\(\\boxed{{{answer}}}\\).",),
    ),
    Voice(
        "Pars de {start}. {orders}.",
        orders("Ajoute {n}", "Retranche {n}", "Multiplie par {n}", "Divise par {n}",
               "Prends le reste de la division par {n}"),
        "Quel nombre obtiens-tu ?",
        ("Bon, procédons dans l'ordre.", "Voyons, je garde une trace de chaque résultat."),
        ("{left} {sign} {right} = {result}.", "Ensuite, {left} {sign} {right}, soit {result}."),
        ("Je vérifie : {proof}. C'est bon.", "Pour être sûr : {proof}, donc {result}."),
        ("Attends, j'avais écrit {wrong}, mais {proof}. C'est donc {result}.",),
        ("Le résultat final est donc {answer}.", "C'était la dernière étape : {answer}."),
        ("La réponse est \\(\\boxed{{{answer}}}\\).",),
    ),
    Voice(
        "Beginne mit {start}. {orders}.",
        orders("Addiere {n}", "Subtrahiere {n}", "Multipliziere mit {n}", "Teile durch {n}",
               "Nimm den Rest bei der Teilung durch {n}"),
        "Welche Zahl kommt heraus?",
        ("Gut, der Reihe nach.", "Ich rechne Schritt für Schritt und schreibe alles mit."),
        ("{left} {sign} {right} = {result}.", "Dann {left} {sign} {right}, das sind {result}."),
        ("Probe: {proof}. Stimmt.", "Zur Sicherheit: {proof}, also {result}."),
        ("Moment, ich hatte {wrong}, aber {proof}. Es sind {result}.",),
        ("Am Ende steht also {answer}.", "Das war der letzte Schritt: {answer}."),
        ("Die Antwort ist \\(\\boxed{{{answer}}}\\).",),
    ),
    Voice(
        "{start} から始めます。{orders}。",
        orders("{n} を足します", "{n} を引きます", "{n} を掛けます", "{n} で割ります",
               "{n} で割った余りを求めます"),
        "結果はいくつですか。",
        ("順番に計算していこう。", "まず問題を整理して、一つずつ計算する。"),
        ("{left} {sign} {right} = {result}。", "次に {left} {sign} {right}、つまり {result}。"),
        ("確かめると、{proof}。合っている。", "念のため、{proof}。だから {result}。"),
        ("あれ、最初は {wrong} と書いたけれど、{proof} だから {result} だ。",),
        ("したがって、最後の値は {answer}。", "これで全部なので、答えは {answer}。"),
        ("答えは \\(\\boxed{{{answer}}}\\) です。",),
        "、",
    ),
    Voice(
        "Начни с числа {start}. {orders}.",
        orders("Прибавь {n}", "Вычти {n}", "Умножь на {n}", "Раздели на {n}",
               "Возьми остаток от деления на {n}"),
        "Что получится?",
        ("Хорошо, посчитаем по порядку.", "Так, буду записывать каждый шаг."),
        ("{left} {sign} {right} = {result}.", "Затем {left} {sign} {right}, получаем {result}."),
        ("Проверю: {proof}. Верно.", "На всякий случай: {proof}, значит, {result}."),
        ("Стоп, сначала у меня вышло {wrong}, но {proof}. Значит, {result}.",),
        ("Итак, в конце получается {answer}.", "Это был последний шаг: {answer}."),
        ("Ответ: \\(\\boxed{{{answer}}}\\).",),
    ),
    Voice(
        "Começa com {start}. {orders}.",
        orders("Soma {n}", "Subtrai {n}", "Multiplica por {n}", "Divide por {n}",
               "Calcula o resto da divisão por {n}"),
        "Qual é o resultado?",
        ("Vamos por partes.", "Certo, sigo a ordem e anoto cada valor."),
        ("{left} {sign} {right} = {result}.", "Depois, {left} {sign} {right}, o que dá {result}."),
        ("Confirmo: {proof}. Está certo.", "Por segurança: {proof}, portanto {result}."),
        ("Espera, tinha escrito {wrong}, mas {proof}. É {result}.",),
        ("O resultado final é, portanto, {answer}.", "Era o último passo: {answer}."),
        ("A resposta é \\(\\boxed{{{answer}}}\\).",),
    ),
)  # fmt: skip


def traces() -> str:
    """The whole text, languages mixed."""
    dice = Dice(_SEED)
    told = [_trace(dice, ENGLISH, draft.text, draft) for draft in _english()]
    for voice in OTHERS:
        told += [_trace(dice, voice, _asked(voice, draft), draft) for draft in _chains(voice)]
    return "\n\n\n".join(dice.sample(told, len(told))) + "\n"


def _english() -> Iterator[Draft]:
    drawn = drafts(_SEED, kinds=_KINDS, operations=range(2, 9))
    return islice((draft for draft in drawn if _plain(draft)), _ENGLISH)


def _chains(voice: Voice) -> Iterator[Draft]:
    seed = _SEED + 1 + OTHERS.index(voice)
    drawn = drafts(seed, kinds=["number-chain"], operations=range(3, 7))
    return islice((draft for draft in drawn if _plain(draft)), _OTHERS)


def _plain(draft: Draft) -> bool:
    """Tell whether a voice can work it out: one turn, no guess, operations with a sign."""
    signs = all(step.operator in _SIGNS for step in draft.steps)
    return signs and not draft.earlier and draft.guess is None


def _asked(voice: Voice, draft: Draft) -> str:
    """The steps of a chain as orders in that language."""
    said = [voice.orders[step.operator].format(n=step.right) for step in draft.steps]
    question = voice.question.format(start=draft.steps[0].left, orders=voice.between.join(said))
    return f"{question}{'' if '。' in question else ' '}{voice.asks}"


def _trace(dice: Dice, voice: Voice, question: str, draft: Draft) -> str:
    answer = draft.answer
    results = evaluate(draft.steps)
    assert results is not None
    lines = [dice.pick(voice.opening)]
    for at, step in enumerate(draft.steps):
        left, right = value_of(step.left, results), value_of(step.right, results)
        told = {
            "left": show(left),
            "right": show(right),
            "result": show(results[at]),
            "sign": _SIGNS[step.operator],
        }
        lines.append(dice.pick(voice.step).format(**told))
        proof = _proof(step.operator, left, right, results[at])
        if proof and dice.chance(0.15):
            wrong = show(abs(int(results[at]) + dice.pick((-10, -1, 1, 10, 100))))
            lines.append(dice.pick(voice.doubt).format(**told, proof=proof, wrong=wrong))
        elif proof and dice.chance(0.4):
            lines.append(dice.pick(voice.check).format(**told, proof=proof))
    if draft.verdict is not None:
        told_of = (f"{name}: {show(value_of(o, results))}" for name, o in draft.verdict.rivals)
        lines.append(f"Comparing them, {' and '.join(told_of)}. So it is {answer}.")
    lines.append(dice.pick(voice.closing).format(answer=answer))
    between = "\n" if dice.chance(0.5) else " "
    said = dice.pick(voice.answer).format(answer=answer)
    return f"User: {question}\nAssistant: <think>\n{between.join(lines)}\n</think>\n{said}"


def _proof(operator: Operator, left: Number, right: Number, result: Number) -> str:
    """Another way to the same number; empty where there is none worth telling."""
    if not (isinstance(left, int) and isinstance(right, int) and isinstance(result, int)):
        return ""
    match operator:
        case Operator.TIMES if left > 9 and right > 9 and right % 10:
            tens, ones = right - right % 10, right % 10
            return (
                f"{left} × {right} = {left} × {tens} + {left} × {ones} "
                f"= {left * tens} + {left * ones} = {result}"
            )
        case Operator.PLUS if left > 99 and right > 9:
            return f"{result} - {right} = {left}"
        case Operator.MINUS if right > 9:
            return f"{result} + {right} = {left}"
        case Operator.OVER if left > 0 and right > 0:
            return f"{result} × {right} = {left}"
        case Operator.MOD if left >= right:
            return f"{left} = {left // right} × {right} + {result}"
        case _:
            return ""


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    sys.stdout.write(traces())
