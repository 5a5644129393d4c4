//! Writing over every store: order, rolling, modes, refusals, commit and recovery.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, Int64Array, LargeBinaryArray,
    NullArray, RecordBatch, StringArray, UInt8Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use raceline_connect::{FileSink, WriteError};
use raceline_plan::{FileFormat, SaveMode, WriteFormat};
use raceline_types::{ErrorKind, Failure, InternalError, TensorType, object_field};

use super::fixture::{Place, table};

fn parquet() -> WriteFormat {
    WriteFormat::Parquet { compression: "zstd".to_owned(), row_group_rows: None }
}

async fn numbers(place: &Place, names: &[(String, i64, i64)]) -> Vec<Vec<i64>> {
    let mut files = Vec::new();
    for (name, _, _) in names {
        let bytes = bytes::Bytes::from(place.get(name).await);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let values = reader.flat_map(|batch| {
            batch
                .unwrap()
                .column_by_name("n")
                .unwrap()
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        });
        files.push(values.collect());
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_their_order_inside_and_across_files() {
    for place in Place::both() {
        let mut spec = place.spec("out", parquet());
        spec.rows_per_file_max = Some(250);
        let batches = (0..10).map(|at| Ok(table(at * 100, 100))).collect();
        let written = place.write(spec, batches).await.unwrap();
        assert_eq!(written.iter().map(|file| file.1).collect::<Vec<_>>(), [250, 250, 250, 250]);
        assert_eq!(numbers(&place, &written).await.concat(), (0..1000).collect::<Vec<_>>());
        let mut names: Vec<String> = written.iter().map(|file| file.0.clone()).collect();
        assert!(names.iter().all(|name| name.starts_with("out/") && name.ends_with(".parquet")));
        assert!(names.is_sorted());
        for (name, _, bytes) in &written {
            assert_eq!(place.get(name).await.len(), usize::try_from(*bytes).unwrap());
        }
        names.sort();
        assert_eq!(place.all_files().await, names, "something staged was left");
    }
}

#[tokio::test]
async fn pictures_are_written_as_differences_and_come_back() {
    let place = Place::local();
    let pixels = UInt8Array::from_iter_values((0..=255).cycle().take(3000).map(|v: u8| v ^ 0x55));
    let item = Arc::new(Field::new("item", DataType::UInt8, false));
    let pictures = FixedSizeListArray::try_new(item, 300, Arc::new(pixels), None).unwrap();
    let bytes = UInt8Array::from_iter_values(0..10);
    let columns: [(_, ArrayRef); 2] = [("p", Arc::new(pictures)), ("b", Arc::new(bytes))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let written = place.write(place.spec("out", parquet()), vec![Ok(batch.clone())]).await.unwrap();
    let file = bytes::Bytes::from(place.get(&written[0].0).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let group = reader.metadata().row_group(0);
    let uses = |column: usize, encoding| group.column(column).encodings().any(|e| e == encoding);
    assert!(uses(0, Encoding::DELTA_BINARY_PACKED) && !uses(0, Encoding::RLE_DICTIONARY));
    assert!(uses(1, Encoding::RLE_DICTIONARY));
    let read = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!(read.columns(), batch.columns());
}

#[tokio::test]
async fn row_groups_have_the_rows_asked_for() {
    let place = Place::memory();
    let format = WriteFormat::Parquet { compression: "none".into(), row_group_rows: Some(30) };
    let written = place.write(place.spec("out", format), vec![Ok(table(0, 100))]).await.unwrap();
    let bytes = bytes::Bytes::from(place.get(&written[0].0).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let rows: Vec<i64> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(parquet::file::metadata::RowGroupMetaData::num_rows)
        .collect();
    assert_eq!(rows, [30, 30, 30, 10]);
}

#[tokio::test]
async fn csv_has_one_header_a_file_and_json_has_nulls() {
    for place in Place::both() {
        let mut spec = place.spec("csv", WriteFormat::Csv);
        spec.rows_per_file_max = Some(3);
        let written = place.write(spec, vec![Ok(table(0, 2)), Ok(table(2, 2))]).await.unwrap();
        let first = String::from_utf8(place.get(&written[0].0).await).unwrap();
        assert_eq!(first, "n,name\n0,name 0\n1,name 1\n2,name 2\n");
        let second = String::from_utf8(place.get(&written[1].0).await).unwrap();
        assert_eq!(second, "n,name\n3,name 3\n");

        let nulls = Arc::new(Int64Array::from(vec![Some(1), None])) as Arc<dyn Array>;
        let batch = RecordBatch::try_from_iter([("n", nulls)]).unwrap();
        let written =
            place.write(place.spec("json", WriteFormat::Json), vec![Ok(batch)]).await.unwrap();
        let text = String::from_utf8(place.get(&written[0].0).await).unwrap();
        assert_eq!(text, "{\"n\":1}\n{\"n\":null}\n");
    }
}

#[tokio::test]
async fn partition_columns_become_folders_that_are_read_back() {
    for place in Place::both() {
        let kinds = StringArray::from(vec![Some("a/b"), None, Some("a/b"), Some("c")]);
        let batch = RecordBatch::try_from_iter([
            ("kind", Arc::new(kinds) as Arc<dyn Array>),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as Arc<dyn Array>),
        ])
        .unwrap();
        let mut spec = place.spec("out", parquet());
        spec.partition_columns = vec!["kind".into()];
        let written = place.write(spec, vec![Ok(batch)]).await.unwrap();
        assert_eq!(numbers(&place, &written).await, [vec![1, 3], vec![2], vec![4]]);
        let folders: Vec<&str> =
            written.iter().map(|file| file.0.split('/').nth(1).unwrap()).collect();
        assert_eq!(folders, ["kind=a%2Fb", "kind=__HIVE_DEFAULT_PARTITION__", "kind=c"]);
        let splits = place.splits(&place.scan(FileFormat::Parquet, &["out"])).await.unwrap();
        let values: Vec<String> = splits
            .iter()
            .map(|split| {
                let files = split.payload.downcast_ref::<Vec<raceline_plan::FileSplit>>();
                files.unwrap()[0].partition_values[0].1.to_string()
            })
            .collect();
        assert_eq!(values, ["__HIVE_DEFAULT_PARTITION__", "a/b", "c"]);
    }
}

#[tokio::test]
async fn many_partitions_are_written_with_few_open_files() {
    let place = Place::local();
    let batches = (0..3).map(|at| {
        let keys = Int64Array::from_iter_values((0..400).map(|key| key % 200));
        let values = Int64Array::from_iter_values((0..400).map(|n| n + at * 400));
        Ok(RecordBatch::try_from_iter([
            ("k", Arc::new(keys) as Arc<dyn Array>),
            ("n", Arc::new(values) as Arc<dyn Array>),
        ])
        .unwrap())
    });
    let mut spec = place.spec("out", parquet());
    spec.partition_columns = vec!["k".into()];
    spec.rows_per_file_max = Some(3);
    let written = place.write(spec, batches.collect()).await.unwrap();
    let mut all = numbers(&place, &written).await.concat();
    all.sort_unstable();
    assert_eq!(all, (0..1200).collect::<Vec<_>>());
}

#[tokio::test]
async fn modes_do_what_they_say() {
    for place in Place::both() {
        let write = async |mode: SaveMode, first: i64| {
            let mut spec = place.spec("out", parquet());
            spec.mode = mode;
            place.write(spec, vec![Ok(table(first, 1))]).await
        };
        let first = write(SaveMode::Error, 0).await.unwrap();
        let error = write(SaveMode::Error, 1).await.unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` exists already", place.path("out")));
        assert_eq!(error.kind(), ErrorKind::Plan);
        assert!(write(SaveMode::Ignore, 1).await.unwrap().is_empty());
        let second = write(SaveMode::Append, 1).await.unwrap();
        let mut both = vec![first[0].0.clone(), second[0].0.clone()];
        both.sort();
        assert_eq!(place.all_files().await, both);
        place.put("out/k=1/old.csv", "x").await;
        let third = write(SaveMode::Overwrite, 2).await.unwrap();
        assert_eq!(place.all_files().await, [third[0].0.clone()]);
    }
}

#[tokio::test]
async fn a_write_without_rows_leaves_nothing() {
    for place in Place::both() {
        let spec = place.spec("deep/out", parquet());
        let written = place.write(spec, vec![Ok(table(0, 0))]).await.unwrap();
        assert!(written.is_empty());
        assert!(place.all_files().await.is_empty());
        assert!(!place.is_local || !std::path::Path::new(&place.path("deep")).exists());
    }
}

#[tokio::test]
async fn a_failed_write_leaves_nothing() {
    for place in Place::both() {
        let mut spec = place.spec("deep/out", parquet());
        spec.rows_per_file_max = Some(2);
        let failure = Failure::from(InternalError::new("input failed"));
        let outcome = place.write(spec, vec![Ok(table(0, 9)), Err(failure)]).await;
        assert_eq!(outcome.unwrap_err().to_string(), "internal error: input failed");
        assert!(place.all_files().await.is_empty());
        assert!(!place.is_local || !std::path::Path::new(&place.path("deep")).exists());
    }
}

async fn refusal(place: &Place, format: WriteFormat, batches: Vec<RecordBatch>) -> Failure {
    let batches = batches.into_iter().map(Ok).collect();
    let failure = place.write(place.spec("out", format), batches).await.unwrap_err();
    assert!(place.all_files().await.is_empty());
    failure
}

#[tokio::test]
async fn columns_that_a_format_cannot_hold_are_refused_by_name() {
    let place = Place::local();
    let of = |field: Field| {
        let column = arrow::array::new_null_array(field.data_type(), 1);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
    };
    let tensor = TensorType::Fixed { value_type: DataType::UInt8, shape: vec![2, 2] };
    let image = of(tensor.field("image").unwrap());
    let failure = refusal(&place, WriteFormat::Csv, vec![image]).await;
    let message = "CSV cannot hold the column `image` of type `tensor of UInt8 [2, 2]`";
    assert_eq!(failure.to_string(), message);
    assert_eq!(failure.place().column.as_deref(), Some("image"));
    for format in [parquet(), WriteFormat::Csv, WriteFormat::Json] {
        let failure = refusal(&place, format, vec![of(object_field("thing"))]).await;
        let message = "cannot hold the column `thing` of type `Python object`";
        assert!(failure.to_string().ends_with(message), "{failure}");
    }
    let bytes = of(Field::new("raw", DataType::Binary, true));
    let failure = refusal(&place, WriteFormat::Json, vec![bytes]).await;
    assert_eq!(failure.to_string(), "JSON cannot hold the column `raw` of type `Binary`");
}

#[tokio::test]
async fn later_batches_fit_or_are_refused() {
    let place = Place::local();
    let nothing = RecordBatch::try_from_iter([
        ("name", Arc::new(NullArray::new(1)) as Arc<dyn Array>),
        ("n", Arc::new(Int64Array::from(vec![7])) as Arc<dyn Array>),
    ])
    .unwrap();
    let written =
        place.write(place.spec("ok", parquet()), vec![Ok(table(0, 1)), Ok(nothing)]).await.unwrap();
    assert_eq!(numbers(&place, &written).await, [[0, 7]]);
    std::fs::remove_dir_all(place.path("ok")).unwrap();

    let names = RecordBatch::try_from_iter([
        ("n", Arc::new(StringArray::from(vec!["x"])) as Arc<dyn Array>),
        ("name", Arc::new(StringArray::from(vec!["x"])) as Arc<dyn Array>),
    ])
    .unwrap();
    let failure = refusal(&place, parquet(), vec![table(0, 1), names]).await;
    assert_eq!(
        failure.to_string(),
        "column `n` is `Int64` in some batches and `Utf8` in later ones"
    );
    let fewer = table(0, 1).project(&[0]).unwrap();
    let written =
        place.write(place.spec("fewer", parquet()), vec![Ok(table(0, 1)), Ok(fewer)]).await;
    assert_eq!(numbers(&place, &written.unwrap()).await, [[0, 0]]);
}

#[tokio::test]
async fn objects_behind_bytes_are_never_written() {
    let place = Place::local();
    let pickled: Arc<dyn Array> = Arc::new(LargeBinaryArray::from(vec![b"\x80".as_slice()]));
    let of = |field: Field| {
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(&pickled)])
            .unwrap()
    };
    let bytes = of(Field::new("x", DataType::LargeBinary, true));
    let failure = refusal(&place, parquet(), vec![bytes, of(object_field("x"))]).await;
    assert_eq!(
        failure.to_string(),
        "column `x` is `LargeBinary` in some batches and `Python object` in later ones"
    );
    let list = Field::new("x", DataType::List(object_field("item").into()), true);
    let column = arrow::array::new_null_array(list.data_type(), 1);
    let nested = RecordBatch::try_new(Arc::new(Schema::new(vec![list])), vec![column]).unwrap();
    let failure = refusal(&place, parquet(), vec![nested]).await;
    assert!(failure.to_string().starts_with("Parquet cannot hold the column `x`"), "{failure}");
}

#[tokio::test]
async fn types_that_change_early_are_united() {
    let place = Place::local();
    let of = |column: Arc<dyn Array>| Ok(RecordBatch::try_from_iter([("x", column)]).unwrap());
    let batches = vec![
        of(Arc::new(NullArray::new(1))),
        of(Arc::new(Int64Array::from(vec![1]))),
        of(Arc::new(Float64Array::from(vec![0.5]))),
    ];
    let written = place.write(place.spec("out", parquet()), batches).await.unwrap();
    assert_eq!(written.len(), 1);
    let bytes = bytes::Bytes::from(place.get(&written[0].0).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let xs: Vec<_> = reader
        .flat_map(|batch| {
            batch.unwrap().column(0).as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(xs, [None, Some(1.0), Some(0.5)]);
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_runs() {
    let place = Place::local();
    let message = |change: &dyn Fn(&mut raceline_plan::WriteSpec)| {
        let mut spec = place.spec("out", parquet());
        change(&mut spec);
        FileSink::new(Arc::clone(&place.stores), Arc::new(spec)).unwrap_err().to_string()
    };
    let brotli = WriteFormat::Parquet { compression: "brotly".into(), row_group_rows: None };
    assert_eq!(
        message(&|spec| spec.format = brotli.clone()),
        "unknown Parquet compression `brotly`"
    );
    assert_eq!(
        message(&|spec| (spec.rows_per_file_min, spec.rows_per_file_max) = (Some(5), Some(4))),
        "at least 5 rows a file do not fit at most 4 rows a file"
    );
    let pattern = place.path("o*t");
    assert_eq!(
        message(&|spec| spec.path.clone_from(&pattern)),
        format!("cannot write to the pattern `{pattern}`")
    );
    let write = async |columns: &[&str]| {
        let mut spec = place.spec("out", parquet());
        spec.partition_columns = columns.iter().map(|&one| one.to_owned()).collect();
        place.write(spec, vec![Ok(table(0, 1))]).await.unwrap_err()
    };
    let missing = write(&["nmae"]).await;
    assert_eq!(missing.to_string(), "no column `nmae` to partition by");
    assert_eq!(missing.kind(), ErrorKind::ColumnNotFound);
    assert_eq!(
        write(&["n", "name"]).await.to_string(),
        "nothing is left for the files: there is no column besides partition columns"
    );
}

#[tokio::test]
async fn targets_that_cannot_be_written_are_named() {
    let place = Place::local();
    place.put("file", "x").await;
    let write = async |name: &str| {
        place.write(place.spec(name, parquet()), vec![Ok(table(0, 1))]).await.unwrap_err()
    };
    let file = write("file").await;
    let path = place.path("file");
    assert_eq!(
        file.to_string(),
        format!("cannot write a folder of files to `{path}`: it is a file")
    );
    assert!(write("file/below").await.downcast_ref::<WriteError>().is_some());

    // A file system of this machine that takes no folders, whoever asks.
    let failure = place.write(
        raceline_plan::WriteSpec { path: "/proc/out".to_owned(), ..place.spec("", parquet()) },
        vec![Ok(table(0, 1))],
    );
    let failure = failure.await.unwrap_err();
    assert!(failure.to_string().contains("`/proc/out"), "{failure}");
}

/// Leaves what a writer leaves that died: a staging folder whose lock nobody holds.
async fn abandon(place: &Place, manifest: Option<&str>) {
    place.put("out/_raceline-dead/lock", "").await;
    place.put("out/_raceline-dead/dead_000000.csv", "n\n1\n").await;
    if let Some(manifest) = manifest {
        place.put("out/_raceline-dead/manifest.json", manifest).await;
    }
}

#[tokio::test]
async fn the_next_write_finishes_or_removes_what_a_dead_one_left() {
    let place = Place::local();
    abandon(&place, None).await;
    let written = place.write(place.spec("out", WriteFormat::Csv), vec![Ok(table(0, 1))]).await;
    assert_eq!(place.all_files().await, [written.unwrap()[0].0.clone()]);
    std::fs::remove_dir_all(place.path("out")).unwrap();

    place.put("out/old.csv", "n\n").await;
    let entry = r#"{"path": "k=1/dead_000000.csv", "bytes": 4, "file": "dead_000000.csv"}"#;
    let done = r#"{"path": "done.csv", "bytes": 2, "file": "moved already"}"#;
    place.put("out/done.csv", "n\n").await;
    let manifest =
        format!(r#"{{"version": 1, "files": [{entry}, {done}], "removed": ["old.csv"]}}"#);
    abandon(&place, Some(&manifest)).await;
    let empty = place.write(place.spec("out", WriteFormat::Csv), Vec::new()).await.unwrap();
    assert!(empty.is_empty());
    assert_eq!(place.all_files().await, ["out/done.csv", "out/k=1/dead_000000.csv"]);
}

/// The rendered failure of a write beside one that broke off.
async fn fault_beside_a_dead_write(place: &Place) -> String {
    let written = place.write(place.spec("out", WriteFormat::Csv), vec![Ok(table(0, 1))]).await;
    written.unwrap_err().render()
}

#[tokio::test]
async fn a_write_that_cannot_be_finished_is_named_with_the_ways_out() {
    let place = Place::local();
    let folder = place.path("out/_raceline-dead");
    let expected = |reason: &str| {
        format!(
            "cannot finish an earlier write, which broke off: `{folder}`\n  caused by: {reason}\n  \
             hint: mend the cause and write again; or give that write up by removing `{folder}` \
             with all it holds: what it was to replace is still there"
        )
    };
    abandon(&place, Some("{}")).await;
    let damaged = expected("its manifest is damaged\n  caused by: its version is null, not 1");
    assert_eq!(fault_beside_a_dead_write(&place).await, damaged);

    place.put("victim.txt", "").await;
    let evil = r#"{"version": 1, "files": [], "removed": ["../victim.txt"]}"#;
    abandon(&place, Some(evil)).await;
    let reason = "its manifest is damaged\n  caused by: the path `../victim.txt` leads out of the \
                  folder";
    assert_eq!(fault_beside_a_dead_write(&place).await, expected(reason));
    assert!(place.all_files().await.contains(&"victim.txt".to_owned()));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(place.write(place.spec("out", WriteFormat::Csv), Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn a_staging_folder_that_was_never_locked_is_removed() {
    let place = Place::local();
    std::fs::create_dir_all(place.path("out/_raceline-dead")).unwrap();
    place.write(place.spec("out", WriteFormat::Csv), Vec::new()).await.unwrap();
    assert!(!std::path::Path::new(&place.path("out/_raceline-dead")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_begin_at_once_do_not_tidy_each_other_away() {
    let place = std::sync::Arc::new(Place::local());
    for round in 0..20 {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let place = std::sync::Arc::clone(&place);
                tokio::runtime::Handle::current().spawn(async move {
                    let spec = place.spec("out", WriteFormat::Csv);
                    place.write(spec, vec![Ok(table(writer, 1))]).await
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(place.all_files().await.len(), (round + 1) * 8);
    }
}

#[tokio::test]
async fn a_writer_that_lives_is_left_alone() {
    let place = Place::local();
    abandon(&place, None).await;
    let lock = std::fs::File::open(place.path("out/_raceline-dead/lock")).unwrap();
    lock.lock().unwrap();
    place.write(place.spec("out", WriteFormat::Csv), Vec::new()).await.unwrap();
    assert!(std::path::Path::new(&place.path("out/_raceline-dead")).exists());
    // What it staged is in no listing.
    place.put("out/a.csv", "n\n").await;
    let listed = place.list(&place.scan(FileFormat::Binary, &["out"])).await.unwrap();
    assert_eq!(listed, ["out/a.csv"]);
}

#[tokio::test]
async fn uploads_that_a_dead_writer_left_are_completed() {
    let place = Place::memory();
    let path = Path::from("out/dead_000000.csv");
    let store = place.memory_store();
    let id = store.create_multipart(&path).await.unwrap();
    let part = store.put_part(&path, &id, 0, "n\n1\n".into()).await.unwrap();
    let manifest = format!(
        r#"{{"version": 1, "removed": [], "files":
            [{{"path": "dead_000000.csv", "bytes": 4, "upload": "{id}", "parts": ["{}"]}}]}}"#,
        part.content_id
    );
    place.put("out/_raceline-dead/manifest.json", manifest).await;
    place.write(place.spec("out", WriteFormat::Csv), Vec::new()).await.unwrap();
    assert_eq!(place.all_files().await, ["out/dead_000000.csv"]);
    assert_eq!(place.get("out/dead_000000.csv").await, b"n\n1\n");
}
