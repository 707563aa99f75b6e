"""The command line: train, sample, draw, gallery, grad, models, examples."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import data
from .backends.options import add_options, use_options
from .commands import catalogue, showcase, text_model
from .commands.console import print_anything
from .errors import BadFile, BadValue, Error, Undetermined, near
from .keywords import OTHER_NAMES, meant
from .models.model import Model, equations

EXAMPLES = """examples:
  tinygrad-rnn train                                   the English of Python's own documentation
  tinygrad-rnn train book.txt --cell gru --hidden 256 --out book
  tinygrad-rnn train book.txt --out book --resume      go on after a stop
  tinygrad-rnn train book.txt --backend cupy           on a GPU, by CuPy
  tinygrad-rnn sample book/model.safetensors --length 500 --temperature 0.7
  tinygrad-rnn draw lstm --view unrolled --steps 4 -o lstm.svg
  tinygrad-rnn draw mycell.txt -o mycell.pdf           a file of equations
  tinygrad-rnn draw gru -o gru.html                    one page to walk through, which needs nothing else
  tinygrad-rnn draw book/model.safetensors --view unrolled --data batch.npz -o run.svg
  tinygrad-rnn gallery lstm luong -o pictures          models in every view
  tinygrad-rnn grad gru --latex --want 'd_*' --notation subscript
  tinygrad-rnn models
  tinygrad-rnn models bahdanau                         its source, options, equations and sizes
  tinygrad-rnn models --pages docs/models              a page of each: picture, equations, weights, training
  tinygrad-rnn examples                                what there is to run
  tinygrad-rnn examples hello --out hello              train one, and leave pictures and figures
  tinygrad-rnn examples text --backend cupy            the same on a GPU
"""
MODEL_HELP = "a name that `tinygrad-rnn models` lists, a file of equations, or a saved model (.safetensors)"


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="tinygrad-rnn", description="Recurrent networks as equations.", epilog=EXAMPLES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(top)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _train_arguments(_command(commands, "train", "train a character model on a text and draw it", _train))
    _sample_arguments(_command(commands, "sample", "draw text from a trained model", _sample))
    _draw_arguments(_command(commands, "draw", "draw a model", _draw))
    gallery = _command(commands, "gallery", "draw models in every view, with an index page", _gallery)
    gallery.add_argument("models", nargs="*", metavar="MODEL", help=f"names (default: {' '.join(catalogue.first())})")
    gallery.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    gallery.add_argument("--sheet", type=Path, help="also a contact sheet of all pictures, .png or .pdf")
    _grad_arguments(_command(commands, "grad", "print the derived equations of the gradient", _grad))
    listed = _command(commands, "models", "list the ready models, tell of one, or make a page of each", _models)
    listed.add_argument("name", nargs="?", help="tell of this model: its source, options, equations and sizes")
    listed.add_argument("--pages", type=Path, help="a folder for a page of each: picture, equations, weights, training")
    shown = _command(commands, "examples", "list the examples, or run one", _examples)
    shown.add_argument("name", nargs="?", help="run this example")
    shown.add_argument("arguments", nargs=argparse.REMAINDER, help="what it is given: --quick, --out DIR, --seed N, "
                       "--backend NAME, --help")
    return top


class _Version(argparse.Action):
    """Print the version, which is looked up only then, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        _say(f"tinygrad-rnn {getattr(import_module(str(__package__)), '__version__', 'not installed')}")
        parser.exit()


def _command(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str,
             run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    lines = [line for line in EXAMPLES.splitlines()[1:] if f"tinygrad-rnn {name}" in line]
    one = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.",
                              epilog="examples:\n" + "\n".join(lines),
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    one.set_defaults(run=run, parser=one)
    add_options(one, argparse.SUPPRESS)  # also behind the command; what stands before it is kept
    return one


def _sample_arguments(sample: argparse.ArgumentParser) -> None:
    sample.add_argument("checkpoint", type=Path, help="model.safetensors, which `tinygrad-rnn train` leaves")
    sample.add_argument("--length", type=int, default=300, help="characters to draw (default: 300)")
    sample.add_argument("--temperature", type=float, default=0.7, help="0 draws the likeliest (default: 0.7)")
    sample.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    sample.add_argument("--prime", help="text that the model reads first")


def _grad_arguments(grad: argparse.ArgumentParser) -> None:
    grad.add_argument("model", help=MODEL_HELP)
    _size_argument(grad)
    grad.add_argument("--of", default="loss", help="the scalar to differentiate (default: loss)")
    grad.add_argument("--latex", action="store_true", help="as an aligned LaTeX environment")
    grad.add_argument("--want", action="append", metavar="NAME", help="of the LaTeX only this quantity's equations, or "
                      "those that match a pattern, such as 'd_*', the derived ones; may be given several times")
    grad.add_argument("--notation", help="in LaTeX positions as a superscript (default) or a subscript")


def _size_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("--size", action="append", default=[], metavar="NAME=SIZE", help="of a file of equations a "
                         "size that it does not give, such as h=64 or V=10,64; of a ready model one of its own, such "
                         "as hidden=64; may be given several times")


def _draw_arguments(draw: argparse.ArgumentParser) -> None:
    draw.add_argument("model", help=MODEL_HELP)
    draw.add_argument("-o", "--output", type=Path, required=True,
                      help="ends in .svg, .png, .pdf, .tex (TikZ), .html, .dot or .mmd (Mermaid)")
    _size_argument(draw)
    draw.add_argument("--view", help="folded, unrolled, backward, cell, attention or equations (default: folded; of "
                      "an .html unrolled)")
    draw.add_argument("--of", help="draw the derived equations of this scalar's gradient in place of the model")
    draw.add_argument("--steps", type=int, help="columns of the unrolled and backward views (default: 4)")
    draw.add_argument("--all-steps", dest="elide", action="store_false", default=None,
                      help="draw every step, where above 8 only 1, 2, … and T are drawn")
    draw.add_argument("--detail", help="closed, gates or ops: how much of a cell's inside is shown")
    draw.add_argument("--notation", default="superscript", help="positions as a superscript (default) or a subscript")
    draw.add_argument("--data", type=Path, help="an .npz of the model's inputs, to colour by what it computes of them")
    draw.add_argument("--colour", default="value", help="by value (default) or by gradient, with --data")
    draw.add_argument("--example", type=int, default=0, help="which example of the data (default: 0)")
    draw.add_argument("--focus", type=int, help="of the attention view, the step that looks")
    draw.add_argument("--quantity", help="of the attention view, the weights' name where there are several")


def _train_arguments(train: argparse.ArgumentParser) -> None:
    standard = text_model.Settings()
    train.add_argument("textfile", nargs="?", type=Path, help="UTF-8 text; default: the English of Python's docs")
    train.add_argument("--cell", choices=catalogue.layered(), default="lstm", help="(default: lstm)")
    train.add_argument("--hidden", type=int, default=128, help="units of each layer (default: 128)")
    train.add_argument("--layers", type=int, default=1, help="one above another (default: 1)")
    train.add_argument("--epochs", type=int, default=standard.epochs,
                       help=f"how often to go through the text (default: {standard.epochs})")
    train.add_argument("--batch", type=int, default=standard.batch,
                       help=f"streams side by side (default: {standard.batch})")
    train.add_argument("--steps", type=int, default=standard.steps,
                       help=f"of truncated backpropagation through time (default: {standard.steps})")
    train.add_argument("--lr", type=float, default=standard.lr,
                       help=f"the rate of Adam, which falls (default: {standard.lr})")
    train.add_argument("--seed", type=int, default=standard.seed, help="of weights and samples (default: 0)")
    train.add_argument("--out", type=Path, default=Path("out"), help="folder for all that is left (default: out)")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder, with the model "
                       "and the settings that it was begun with")
    train.add_argument("--quiet", action="store_true", help="no progress bar")


def _train(args: argparse.Namespace) -> None:
    text = data.text_of_python_docs() if args.textfile is None else data.read_text(args.textfile)
    settings = text_model.Settings(epochs=args.epochs, batch=args.batch, steps=args.steps, lr=args.lr, seed=args.seed)

    def make(symbols: int) -> Model:
        return catalogue.make(args.cell, inputs=symbols, hidden=args.hidden, outputs=symbols, layers=args.layers,
                              seed=args.seed)

    text_model.train(make, text, args.out, settings, args.resume, not args.quiet, _say)
    _say(f"left in {args.out}: {', '.join(sorted(p.name for p in args.out.iterdir()))}")


def _sample(args: argparse.Namespace) -> None:
    model, vocabulary = text_model.load_sampler(args.checkpoint)
    prime = text_model.first_of(vocabulary) if args.prime is None else args.prime
    drawn = text_model.sample(model, vocabulary, args.length, args.temperature, args.seed, prime)
    _say((args.prime or "") + drawn)


def _draw(args: argparse.Namespace) -> None:
    if args.data is None and args.colour == "gradient":
        raise BadValue("--colour gradient needs --data, an .npz of the model's inputs")
    model = _sized(args.model, args.size)
    model = model if args.of is None else model.grad(args.of)
    names = ("view", "steps", "elide", "detail", "notation", "colour", "example", "focus", "quantity")
    values = None if args.data is None else _computed(model, args.data)
    _say(str(model.draw(args.output, values=values, **{name: getattr(args, name) for name in names})))


def _size(given: str) -> tuple[str, int | tuple[int, ...]]:
    """h=64 as a name and a number, V=10,64 as a name and a shape."""
    name, _, value = given.partition("=")
    numbers = value.strip("()").rstrip(",").split(",")
    if not name.strip() or not all(n.strip().isdecimal() for n in numbers):
        raise BadValue(f"--size is a name and a size, such as h=64 or V=10,64, not {given!r}")
    shape = tuple(int(n) for n in numbers)
    return name.strip(), shape[0] if len(shape) == 1 else shape


def _sized(name: str, given: Sequence[str]) -> Model:
    """The model of that name or file, with sizes that are given beside it."""
    sizes = dict(map(_size, given))
    try:
        return _of_sizes(name, sizes)
    except Undetermined as error:
        raise Undetermined(f"{error}\n  or beside the command: --size NAME=SIZE") from error


def _of_sizes(name: str, sizes: Mapping[str, Any]) -> Model:
    path = Path(name)
    if not sizes or (name not in catalogue.models() and not path.exists()):
        return catalogue.model_of(name)
    if name in catalogue.models():
        for size in sizes:
            if not catalogue.takes(name, size):
                hint = meant(size, catalogue.options(name), sizes[size])
                raise BadValue(f"the model {name} has no size {size!r}{hint}; see `tinygrad-rnn models {name}`")
        return catalogue.make(name, **sizes)
    if path.suffix == ".safetensors":
        raise BadValue(f"{name} is a saved model, whose sizes are those of its weights; leave --size out")
    return equations(data.read_text(path), name=path.stem, **sizes)


def _computed(model: Model, path: Path) -> Any:
    """What the model computes of an .npz of inputs, with its gradients where it has a loss."""
    arrays = data.read_arrays(path)
    lengths = arrays.pop("lengths", None)
    whole = "loss" in model.system.quantities and set(model.system.of_role("input")) <= set(arrays)
    return model.trace(arrays, lengths=lengths) if whole else model.run(arrays, lengths=lengths)


def _gallery(args: argparse.Namespace) -> None:
    from .commands import gallery  # it needs what draws, which others do without

    if args.sheet is not None:
        gallery.sheet_file(args.sheet)  # told before all is drawn
    entries = gallery.draw_gallery(args.output, args.models)
    _say(str(args.output / "index.html"))
    if args.sheet is not None:
        _say(str(gallery.contact_sheet(entries, args.sheet)))


def _grad(args: argparse.Namespace) -> None:
    derived = _sized(args.model, args.size).grad(args.of)
    options = {name: getattr(args, name) for name in ("want", "notation") if getattr(args, name) is not None}
    if options and not args.latex:
        raise BadValue(f"--{next(iter(options))} goes with --latex")
    _say(derived.latex(**options) if args.latex else str(derived))


def _models(args: argparse.Namespace) -> None:
    if args.name is not None and args.name not in catalogue.models():
        raise catalogue.unknown(args.name)
    if args.pages is not None:
        from .commands import pages  # it needs what draws, which others do without

        _say(str(pages.write_pages(args.pages, [args.name] if args.name else None, _say)))
    elif args.name is not None:
        model = catalogue.make(args.name)
        options = [f"{key}: {', '.join(map(repr, values))}" for key, values in catalogue.choices(args.name).items()]
        _say("\n\n".join([catalogue.description(args.name), *options, str(model), model.summary()]))
    else:
        for name in catalogue.models():
            _say(f"{name:<14} {catalogue.summary(name)}")


def _examples(args: argparse.Namespace) -> None:
    if args.name is None:
        _say(showcase.listing())
    else:
        showcase.run(args.name, args.arguments)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what is left to write would fail once more at the end
        raise BadFile(f"cannot write what is printed: {(error.strerror or str(error)).lower()}") from error


def _meant(given: str, command: argparse.ArgumentParser) -> str:
    """What an option that the command has not was perhaps to be: one of another name elsewhere, or one that is near."""
    known = re.findall(r"--[a-z-]+", command.format_usage())
    name = given.partition("=")[0]
    for said in OTHER_NAMES.get(name.strip("-").replace("-", "_"), ()):
        if f"--{said.partition('=')[0]}" in known:
            return f"; did you mean --{said.partition('=')[0]}?"
    return near(name, known) if name.startswith("-") else ""


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 for a mistake in what was asked, 130 when interrupted."""
    print_anything()
    args, unknown = parser().parse_known_args(argv)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{_meant(unknown[0], args.parser)}")
    try:
        use_options(args)
        args.run(args)
    except Error as error:
        print(f"tinygrad-rnn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = "; train --resume goes on from the last checkpoint" if args.run is _train else ""
        print(f"\nstopped{resumes}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0
