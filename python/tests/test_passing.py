"""Columns that lie in memory that workers see are not copied on their way, and never change."""

import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opaque import opaque

import raceline

PIL_Image = pytest.importorskip("PIL.Image")

SIDE = 224
IMAGE_BYTES = SIDE * SIDE * 3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of 96 pictures, each of one colour."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(96):
        picture = PIL_Image.new("RGB", (SIDE, SIDE), (index, 2 * index, 255 - index))
        data = io.BytesIO()
        picture.save(data, "png")
        (folder / f"{index:03}.png").write_bytes(data.getvalue())
    return folder


def same(value):
    """The value itself, by a function that no compiler sees through."""
    return [value][-1:][0]


def moved(dataset, name):
    """Copied and passed bytes of the stage of the last run that ``name`` is in."""
    [stage] = [stage for stage in dataset.profile().stages if name in stage.name]
    return stage.copied_bytes, stage.passed_bytes


def colours(batch):
    """The colour of each image."""
    return {"colour": [same(image[-1, -1].tolist()) for image in batch["image"]]}


class Actor:
    def __call__(self, batch):
        return colours(batch)


EXPECTED = [[index, 2 * index, 255 - index] for index in range(96)]


@pytest.mark.parametrize(
    "options", [{"mode": "RGB"}, {"mode": "RGB", "size": (SIDE, SIDE)}], ids=str
)
@pytest.mark.parametrize("batch_size", [None, 7, 96])
def test_pixels_are_not_copied_between_decoder_and_function(images, options, batch_size):
    dataset = raceline.read_images(images, **options).map_batches(
        Actor, batch_size=batch_size, concurrency=2
    )
    rows = dataset.take_all()
    assert [row["colour"] for row in rows] == EXPECTED
    copied, passed = moved(dataset, "Actor")
    assert passed >= 96 * IMAGE_BYTES
    assert copied < IMAGE_BYTES / 10


def test_resized_pixels_and_those_of_another_mode_are_not_copied_either(images):
    gray = raceline.read_images(images, mode="L", size=(256, 256))
    dataset = gray.map_batches(Actor, batch_size=None, concurrency=1)
    rows = dataset.take_all()
    assert rows[3]["colour"] == [round(0.299 * 3 + 0.587 * 6 + 0.114 * 252)]
    copied, passed = moved(dataset, "Actor")
    assert passed >= 96 * 256 * 256
    assert copied < 256 * 256


def test_pictures_of_many_sizes_lie_behind_one_another(tmp_path):
    sides = [8, 300, 20, 500, 700, 16, 1200, 1300, 40, 900]
    for index, side in enumerate(sides):
        picture = PIL_Image.new("RGB", (side, side + 1), (index, 0, 255))
        picture.save(tmp_path / f"{index}.png")

    def seen(batch):
        return {
            "shape": [same(list(image.shape)) for image in batch["image"]],
            "colours": [np.unique(image.reshape(-1, 3), axis=0) for image in batch["image"]],
        }

    rows = raceline.read_images(tmp_path).map_batches(seen, batch_size=None).take_all()
    assert [list(row["shape"]) for row in rows] == [[side + 1, side, 3] for side in sides]
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(row["colours"], [[index, 0, 255]])


def test_what_a_function_returns_as_it_got_it_is_not_copied(images):
    read = raceline.read_images(images, mode="RGB", size=(SIDE, SIDE))
    dataset = read.map_batches(opaque(same), batch_size=32)
    kept = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    copied, passed = moved(dataset, "call")
    assert passed >= 2 * 96 * IMAGE_BYTES
    assert copied < IMAGE_BYTES / 10
    tables = [pa.table(batch) for batch in kept]
    colours = [
        image[0, 0].tolist()
        for table in tables
        for image in table["image"].combine_chunks().to_numpy_ndarray()
    ]
    assert colours == EXPECTED


def test_batches_are_put_together_where_the_worker_reads_them(tmp_path):
    values = np.arange(1_000_000, dtype="f8")
    pq.write_table(pa.table({"value": values}), tmp_path / "a.parquet", row_group_size=90_000)

    def total(batch):
        return {"total": [same(float(batch["value"].sum()))]}

    dataset = raceline.read_parquet(tmp_path).map_batches(total, batch_size=250_000)
    totals = [row["total"] for row in dataset.take_all()]
    assert totals == [float(part.sum()) for part in np.split(values, 4)]
    copied, passed = moved(dataset, "total")
    assert passed >= 6_000_000
    assert copied + passed >= 8_000_000


def test_neither_a_limit_nor_a_union_keeps_pixels_from_where_they_are_read(images):
    read = raceline.read_images(images, mode="RGB")
    dataset = read.limit(40).union(read.limit(50)).map_batches(Actor, batch_size=None)
    assert [row["colour"] for row in dataset.take_all()] == EXPECTED[:40] + EXPECTED[:50]
    copied, passed = moved(dataset, "Actor")
    assert passed >= 90 * IMAGE_BYTES
    assert copied < IMAGE_BYTES / 10


def test_slices_and_filtered_rows_hold_what_they_held(images):
    read = raceline.read_images(images, mode="RGB", include_paths=True)
    odd = read.filter(lambda row: same(int(row["path"][-5]) % 2 == 1))
    limited = read.limit(13).map_batches(colours, batch_size=5)
    assert [row["colour"] for row in limited.take_all()] == EXPECTED[:13]
    dataset = odd.map_batches(colours, batch_size=10)
    assert [row["colour"] for row in dataset.take_all()] == EXPECTED[1::2]
    both = read.map_batches(opaque(same), batch_size=8).map_batches(colours, batch_size=30)
    assert [row["colour"] for row in both.take_all()] == EXPECTED


class Keeper:
    """Keeps all that it ever saw, and tells at each batch whether that has changed."""

    def __init__(self):
        self.kept = []

    def __call__(self, batch):
        for image, expected in self.kept:
            assert (image == expected).all(), "a view changed"
        for image in batch["image"]:
            self.kept.append((image[::17], image[::17].copy()))
        return {"kept": [len(self.kept)]}


def test_nothing_changes_under_views_that_are_kept_for_ever(images):
    many = raceline.read_images([images] * 4, mode="RGB", size=(SIDE, SIDE))
    dataset = many.map_batches(Keeper, batch_size=16, concurrency=1)
    assert dataset.take_all()[-1] == {"kept": 4 * 96}
    assert moved(dataset, "Keeper")[0] < IMAGE_BYTES


def test_materialized_rows_outlive_the_run_and_its_workers(images):
    kept = raceline.read_images(images, mode="RGB").map_batches(opaque(same), batch_size=16)
    kept = kept.materialize()
    for _ in range(3):
        raceline.read_images(images, mode="RGB").map_batches(colours, batch_size=16).count()
    assert [row["colour"] for row in kept.map_batches(colours).take_all()] == EXPECTED


def test_a_worker_that_dies_loses_no_pixel(images, tmp_path):
    def dies_once(batch):
        mark = tmp_path / f"{int(batch['image'][0][0, 0, 0]) % 24}"
        if not mark.exists():
            mark.touch()
            os._exit(3)
        return colours(batch)

    dataset = raceline.read_images(images, mode="RGB").map_batches(
        dies_once, batch_size=8, concurrency=2
    )
    assert [row["colour"] for row in dataset.take_all()] == EXPECTED


def test_no_bytes_are_told_where_no_worker_is():
    dataset = raceline.range(10).filter(expr="id > 3")
    assert dataset.count() == 6
    assert all(stage.copied_bytes is None for stage in dataset.profile().stages)
