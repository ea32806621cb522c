"""The page of `piti demo`: a tab a task; paint, choose, draw."""

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from itertools import count
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from piti.cards import SampleCard
from piti.cli.demo import Choice
from piti.cli.translate import SAMPLING, changed, options
from piti.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.sample.diffusion import Sampler
from piti.sample.translate import Translator
from piti.store.files import InputError

CANVAS = 512  # px, a multiple of every model's resolution
ID = "image"  # of the picture on the page, as of the file that a browser saves: `piti translate` draws the same
LOADED = 2  # models kept in memory
LOOK = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}  # nothing from the network
PIXELS = ".pixels img { image-rendering: pixelated; width: 100%; height: 100%; object-fit: contain; }"


def serve(choices: Sequence[Choice], host: str, port: int) -> None:
    """Show the page until it is interrupted. Raises InputError where the port is taken."""
    print(f"http://{host}:{port}  (Ctrl-C ends it)", flush=True)
    try:
        build(choices).launch(
            server_name=host,
            server_port=port,
            quiet=True,
            share=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            theme=gr.themes.Base(**LOOK),
            css=PIXELS,
        )
    except OSError as error:
        raise InputError(
            f"--host, --port: found {host}:{port} ({error}), expected a free port of this machine"
        ) from None


def build(choices: Sequence[Choice]) -> gr.Blocks:
    """The page."""

    @lru_cache(LOADED)
    def loaded(tab: str, method: str) -> Translator:
        (one,) = (c for c in choices if (c.tab, c.method) == (tab, method))
        return Translator(one.stages, one.kind)  # what is painted is in colours

    with gr.Blocks(title="PITI", analytics_enabled=False) as page:
        for tab in dict.fromkeys(choice.tab for choice in choices):
            with gr.Tab(tab):
                fill({choice.method: choice for choice in choices if choice.tab == tab}, loaded)
    return page.queue(default_concurrency_limit=1)


def fill(methods: dict[str, Choice], loaded: Callable[[str, str], Translator]) -> None:
    """One tab: the condition on the left, settings beside it, pictures below."""
    first = next(iter(methods.values()))
    with gr.Row():
        with gr.Column():
            condition = inputs(first)
        with gr.Column():
            method = gr.Dropdown([(c.label, c.method) for c in methods.values()], value=first.method, label="Model")
            worth = gr.Markdown(first.worth, elem_classes="worth")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            with gr.Group(visible=is_diffusion(first)) as diffusion:
                settings = sampling(next((c for c in methods.values() if is_diffusion(c)), None))
            button = gr.Button("Draw", variant="primary", elem_classes="draw")
            said = gr.Markdown(elem_classes="said")
    with gr.Row():
        seen, base, picture = (
            gr.Image(
                label=label,
                format="png",
                interactive=False,
                height=360,
                buttons=["download"],
                elem_classes=["pixels", name],
            )
            for name, label in {"seen": "What the model sees", "base": "Base model", "picture": "Picture"}.items()
        )

    def draw(method: str, seed: int | None, *given: object, progress=gr.Progress()) -> Iterator[dict]:  # noqa: B008
        choice, painted = methods[method], given[: len(condition)]
        asked = dict(zip(SAMPLING.values(), map(str, given[len(condition) :]), strict=False))
        try:
            began = time.perf_counter()
            translator = loaded(choice.tab, method)
            translator.use([changed(stage.card, asked, seed) for stage in choice.stages])
            stored = read(translator, painted)
            took = [f"ready in {time.perf_counter() - began:.1f} s"]
            yield {seen: np.hstack(translator.condition.paint(stored)), base: None, picture: None, said: took[0]}
            for made, seconds in timed(translator, stored, progress):
                took.append(f"{made.shape[0]} x {made.shape[1]} px in {seconds:.1f} s")
                last = len(took) > len(choice.stages)
                yield {picture if last else base: made, said: "; ".join(took) + (command(choice, asked, seed) * last)}
        except InputError as error:
            raise gr.Error(str(error), duration=None) from None

    button.click(draw, [method, seed, *condition, *settings], [seen, base, picture, said])

    def choose(name: str) -> tuple:
        return gr.update(visible=is_diffusion(methods[name])), methods[name].worth

    method.change(choose, method, [diffusion, worth], show_progress="hidden")


# -- what is on the left and in the middle ---------------------------------------------------------------------------


def inputs(choice: Choice) -> list[gr.components.Component]:
    """Where a condition is painted or uploaded, and where a test condition of the task can be had."""
    kind = CONDITIONS[choice.kind]
    colours = kind.brush(choice.palette)
    if not colours:
        condition = [gr.Image(label=n, type="pil", image_mode="RGB", sources="upload") for n in kind.asks.values()]
    else:
        if len(colours) > 1:
            gr.HTML(" ".join(map(chip, colours, colours.values())))
        brush = gr.Brush(colors=[f"rgb{colour}" for colour in colours.values()], color_mode="fixed", default_size=12)
        black = np.zeros((CANVAS, CANVAS, 3), np.uint8)
        condition = [
            gr.ImageEditor(
                {"background": black, "layers": [], "composite": black},
                label=", ".join(kind.asks.values()),
                type="pil",
                format="png",
                brush=brush,
                sources=("upload", "clipboard"),
                transforms=None,
                layers=False,
                canvas_size=(CANVAS, CANVAS),
                height=CANVAS,
                elem_classes="canvas",
            )
        ]
    if choice.examples and choice.examples.exists():
        tests = Shards(choice.examples, choice.kind)
        with gr.Row():
            number = gr.Number(
                0, label=f"Test condition, 0 to {len(tests) - 1}", precision=0, minimum=0, maximum=len(tests) - 1
            )
            button = gr.Button("Take it", elem_classes="example")

        def take(row: int) -> dict:
            return dict(zip(condition, map(enlarged, kind.paint(tests[[row]][0])), strict=True))

        button.click(take, number, condition)
    return condition


def sampling(choice: Choice | None) -> list[gr.components.Component]:
    """How a diffusion model is sampled: a field for each of SAMPLING, as its card has it. Baselines have none."""
    if choice is None:
        return []
    said = choice.stages[0].card.sampling
    return [
        gr.Slider(0, 3, said.guidance, step=0.05, label="Guidance w"),
        gr.Dropdown(["none", "sample", "channel"], value=said.normalise, label="Normalisation of guided predictions"),
        gr.Textbox(said.base_respacing, label="Steps of the base model"),
        gr.Textbox(said.upsampler_respacing, label="Steps of the upsampler"),
        gr.Dropdown(["ancestral", "ddim"], value=said.base_sampler, label="Sampler of the base model"),
    ]


def is_diffusion(choice: Choice) -> bool:
    return isinstance(choice.stages[0].card, SampleCard)


def chip(name: str, colour: tuple[int, int, int]) -> str:
    """A class and its colour."""
    return f'<span style="white-space:nowrap"><span style="background:rgb{colour}">&emsp;</span> {name}</span>'


# -- from the canvas to pictures -------------------------------------------------------------------------------------


def read(translator: Translator, painted: Sequence) -> np.ndarray:
    """What is on the canvas as it would be stored, by way of the files that `piti translate` would read."""
    condition = translator.condition
    names = [f"{ID}{ending}.png" for ending in condition.asks]
    with tempfile.TemporaryDirectory() as folder:
        for name, given in zip(names, painted, strict=True):
            picture = given["composite"] if isinstance(given, dict) else given
            if picture is None:
                raise InputError(f"found no picture, expected {' and '.join(condition.asks.values())}")
            picture = on_black(picture) if condition.labels else np.asarray(picture)  # else `open` composes
            Image.fromarray(condition.cleaned(picture, translator.num_classes)).save(Path(folder, name))
        return translator.read(Path(folder, names[0]))


def on_black(picture: Image.Image) -> np.ndarray:
    """The canvas where nothing is painted is void: uint8 H x W x 3."""
    picture = picture.convert("RGBA")
    return np.array(Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture).convert("RGB"))


def timed(translator: Translator, stored: np.ndarray, progress: gr.Progress) -> Iterator[tuple[np.ndarray, float]]:
    """The picture of each stage, uint8 S x S x 3, and its seconds; `progress` hears of each denoising step."""
    samplers = [stage for stage in translator.stages if isinstance(stage, Sampler)]
    total, done = sum(sampler.diffusion.num_timesteps for sampler in samplers), count(1)
    with ExitStack() as hooks:
        for sampler in samplers:
            hook = sampler.model.decoder.register_forward_hook(lambda *_: progress((next(done), total), unit="steps"))
            hooks.callback(hook.remove)
        began = time.perf_counter()
        for pictures in translator([ID], stored[None]):
            yield pictures[0], time.perf_counter() - began
            began = time.perf_counter()


def enlarged(picture: np.ndarray) -> np.ndarray:
    """As large as the canvas, pixel by pixel, so that reading it gives the same again."""
    times = max(CANVAS // len(picture), 1)
    return picture.repeat(times, 0).repeat(times, 1)


def command(choice: Choice, asked: dict[str, str], seed: int | None) -> str:
    """The command that draws the same picture; seed: None: the model's own."""
    taken = options(choice.stages, choice.kind)
    said = {option: asked[key] for option, key in SAMPLING.items() if option in taken}
    said |= {} if seed is None else {"seed": str(seed)}
    said = [f"--{option.replace('_', '-')} {shlex.quote(value)}" for option, value in said.items()]
    first = next(iter(CONDITIONS[choice.kind].asks))  # of geometry the normals; depth lies beside them
    return f"\n\n`piti translate {choice.named} --condition {ID}{first}.png --out pictures/ {' '.join(said)}`"
