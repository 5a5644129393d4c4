"""The programs of Ray Data's front page, with only the import changed."""

import io

import numpy as np
import pytest
from PIL import Image

BUCKET = "shop"


def test_quick_check():
    import raceline as ray

    ds = ray.data.range(1000)
    assert ds.map(lambda x: x * 2).take(5) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("rows", [0, 7, 200_000])
def test_pipeline_of_five_operators(rows):
    import raceline as ray
    from raceline.data.aggregate import Count

    ds = (
        ray.data.range(rows)
        .map(lambda x: {"value": x["id"] * 2})
        .filter(lambda x: x["value"] % 3 == 0)
        .map_batches(lambda batch: {"processed": batch["value"] + 1}, batch_size=1000)
        .groupby(lambda row: row["processed"] // 10)
        .aggregate(Count())
    )
    values = [value + 1 for value in range(0, 2 * rows, 2) if value % 3 == 0]
    assert ds.count() == len({value // 10 for value in values})
    assert sum(row["count()"] for row in ds.take_all()) == len(values)


@pytest.fixture(scope="module")
def s3():
    """A client of a local S3 server that the environment names, with its input laid down."""
    boto3 = pytest.importorskip("boto3")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        lay_down_transactions(client)
        lay_down_images(client)
        yield client
    server.stop()


def lay_down_transactions(client):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in range(3):
        ids = range(part * 100, part * 100 + 100)
        table = pa.table(
            {
                "transaction_id": ids,
                "product_id": [number % 5 for number in ids],
                "amount": [float(number) for number in ids],
            }
        )
        sink = io.BytesIO()
        pq.write_table(table, sink)
        key = f"transactions/part-{part}.parquet"
        client.put_object(Bucket=BUCKET, Key=key, Body=sink.getvalue())


def lay_down_images(client):
    for number in range(40):
        sink = io.BytesIO()
        Image.new("RGB", (32, 24), (number * 5, 0, 0)).save(sink, "JPEG")
        key = f"product-images/product_id={number % 5}/{number}.jpg"
        client.put_object(Bucket=BUCKET, Key=key, Body=sink.getvalue())


class ImageClassifier:
    """Stands for a model: says which half of the brightness range an image is in."""

    def __init__(self):
        import os

        self.device = os.environ.get("CUDA_VISIBLE_DEVICES")

    def __call__(self, batch):
        assert len(batch["image"]) <= 32
        red = np.array([image[..., 0].mean() for image in batch["image"]])
        return {
            "product_id": batch["product_id"],
            "red": red,
            "label": np.where(red > 100, "bright", "dark"),
            "device": [self.device] * len(red),
        }


def test_transactions_and_images_on_s3(s3):
    import raceline as ray
    from raceline.data.aggregate import Count, Sum

    transactions = (
        ray.data.read_parquet(f"s3://{BUCKET}/transactions/")
        .filter(lambda row: row["amount"] > 100)
        .groupby("product_id")
        .aggregate(Sum("amount"), Count())
    )
    images = ray.data.read_images(f"s3://{BUCKET}/product-images/").map_batches(
        ImageClassifier,
        compute=ray.data.ActorPoolStrategy(size=8),
        num_gpus=1.0,
        batch_size=32,
    )
    transactions.write_parquet(f"s3://{BUCKET}/out/transactions/")
    images.write_parquet(f"s3://{BUCKET}/out/labels/")

    totals = ray.data.read_parquet(f"s3://{BUCKET}/out/transactions/").sort("product_id")
    expected = [
        sum(float(number) for number in range(101, 300) if number % 5 == product)
        for product in range(5)
    ]
    assert [row["sum(amount)"] for row in totals.take_all()] == expected
    labels = ray.data.read_parquet(f"s3://{BUCKET}/out/labels/").to_pandas()
    assert len(labels) == 40
    assert set(labels["product_id"]) == {"0", "1", "2", "3", "4"}
    assert set(labels["label"]) == {"bright", "dark"}
    assert set(labels["device"]) <= {str(gpu) for gpu in range(8)}


def test_a_glob_over_s3_finds_partitions(s3):
    import raceline as ray

    images = ray.data.read_images(f"s3://{BUCKET}/product-images/product_id=*/*.jpg")
    assert sorted(images.unique("product_id")) == ["0", "1", "2", "3", "4"]


def test_wrong_credentials_and_buckets_on_s3(s3):
    import raceline as ray
    from raceline.errors import SourceError, SourceNotFoundError

    with pytest.raises(SourceNotFoundError, match="no-such-bucket"):
        ray.data.read_parquet("s3://no-such-bucket/x/").take_all()
    with pytest.raises(SourceNotFoundError, match="nothing-here"):
        ray.data.read_parquet(f"s3://{BUCKET}/nothing-here/").take_all()
    with pytest.raises(SourceError) as caught:
        ray.data.read_parquet(
            f"s3://{BUCKET}/transactions/",
            storage_options={"endpoint": "http://127.0.0.1:9"},
        ).take_all()
    assert "127.0.0.1:9" in str(caught.value)
    assert caught.value.hint


def test_storage_options_name_the_server_without_an_environment(s3, monkeypatch):
    import os

    import raceline as ray

    options = {
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    path = f"s3://{BUCKET}/transactions/"
    assert ray.data.read_parquet(path, storage_options=options).count() == 300
    ray.data.range(3).write_json(f"s3://{BUCKET}/out/json/", storage_options=options)
    back = ray.data.read_json(f"s3://{BUCKET}/out/json/", storage_options=options)
    assert back.sum("id") == 3


def test_markers_of_folders_on_s3_are_no_files(s3):
    import raceline as ray

    for key, body in [("logs/", b""), ("logs/2024/", b""), ("logs/2024/a.csv", b"id\n7\n")]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert ray.data.read_csv(f"s3://{BUCKET}/logs/", file_extensions=None).take_all() == [{"id": 7}]
    assert ray.data.read_binary_files(f"s3://{BUCKET}/logs/").count() == 1
