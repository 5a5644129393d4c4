"""A model of the size of ResNet-50 over JPEG files: `gpu.py model|pipeline FOLDER [BATCHES]`.

`model` runs it over data that is already on the device, `pipeline` runs it as an actor with
`num_gpus=1` behind the files. Prints the seconds, then pictures a second, how many batches there
were, and the part of its time that the device was busy between the first batch and the last.
Without a GPU it runs on the CPU, a quarter of the width, to see that it works. Needs torch.
"""

import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn

BATCH_ROWS = 128 if torch.cuda.is_available() else 8
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
WIDTH = 64 if torch.cuda.is_available() else 16
STAGES = ((3, 1), (4, 2), (6, 2), (3, 2))


class Bottleneck(nn.Module):
    """Three convolutions round which the input goes as well (He et al. 2015, figure 5)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """`channels` in; the second convolution has `stride`."""
        super().__init__()
        out = width * 4
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.around = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Channels in, four times the width out."""
        return torch.relu(self.body(inputs) + self.around(inputs))


def make_model() -> nn.Module:
    """Layers as those of ResNet-50, with random weights."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, WIDTH, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, padding=1),
    ]
    channels, width = WIDTH, WIDTH
    for blocks, stride in STAGES:
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, stride if block == 0 else 1))
            channels = width * 4
        width *= 2
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
    model = nn.Sequential(*layers).eval().to(DEVICE)
    return model.half() if DEVICE.type == "cuda" else model


class Classifier:
    """The model, and how long it computed; CUDA's own clock is asked where there is one."""

    def __init__(self) -> None:
        """Runs the model once, so that its kernels are loaded."""
        self.model = make_model()
        self.first = 0.0
        self.busy = 0.0
        self.on_device(torch.zeros((BATCH_ROWS, 224, 224, 3), dtype=torch.uint8, device=DEVICE))

    @torch.inference_mode()
    def on_device(self, pictures: torch.Tensor) -> torch.Tensor:
        """The best class of each picture."""
        inputs = pictures.permute(0, 3, 1, 2)
        inputs = inputs.half() if DEVICE.type == "cuda" else inputs.float()
        return self.model(inputs / 255).argmax(1)

    def timed(self, pictures: torch.Tensor) -> tuple[np.ndarray, float]:
        """The classes, and the seconds that the device computed."""
        if DEVICE.type != "cuda":
            began = time.perf_counter()
            classes = self.on_device(pictures).numpy()
            return classes, time.perf_counter() - began
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        classes = self.on_device(pictures)
        end.record()
        on_host = classes.cpu().numpy()
        return on_host, start.elapsed_time(end) / 1000

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Classes of a batch, and the part of its time since the first that was computing."""
        self.first = self.first or time.perf_counter()
        pictures = torch.tensor(batch["image"]).to(DEVICE, non_blocking=True)
        classes, seconds = self.timed(pictures)
        self.busy += seconds
        busy = self.busy / (time.perf_counter() - self.first)
        return {"class": classes, "busy": np.full(len(classes), busy)}


def alone(batches: int) -> tuple[float, int, int, float]:
    """The model over one batch that stays on the device."""
    classifier = Classifier()
    pictures = torch.randint(0, 256, (BATCH_ROWS, 224, 224, 3), dtype=torch.uint8, device=DEVICE)
    started = time.perf_counter()
    busy = sum(classifier.timed(pictures)[1] for _ in range(batches))
    seconds = time.perf_counter() - started
    return seconds, batches * BATCH_ROWS, batches, busy / seconds


def pipeline(folder: str, passes: int) -> tuple[float, int, int, float]:
    """Files, decoded and resized on CPUs, through the model."""
    import raceline

    raceline.init(progress=False, num_gpus=1)
    pictures = raceline.data.read_images(folder, mode="RGB", size=(224, 224))
    pictures = pictures.union(*[pictures] * (passes - 1)) if passes > 1 else pictures
    classified = pictures.map_batches(
        Classifier, batch_size=BATCH_ROWS, num_gpus=1, num_cpus=0, concurrency=1
    )
    started, rows, batches, busy = 0.0, 0, 0, 0.0
    for batch in classified.iter_batches(batch_size=None):
        # The clock starts when the model is loaded and the first batch is through.
        if started:
            rows += len(batch["class"])
        started = started or time.perf_counter()
        busy, batches = float(batch["busy"][-1]), batches + 1
    return time.perf_counter() - started, rows, batches, busy


if __name__ == "__main__":
    what, folder, *count = sys.argv[1:]
    times = int(count[0]) if count else 1
    seconds, rows, batches, busy = alone(times) if what == "model" else pipeline(folder, times)
    answer = f"{rows / seconds:.1f} pictures/s, {batches} batches, busy {busy:.3f}"
    sys.stdout.write(f"{seconds} {answer}\n")
