//! Against a local S3 server.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use raceline_connect::{FileColumns, Listing, TextReader};
use raceline_plan::{FileFormat, SaveMode, TextReadOptions, WriteFormat};
use raceline_types::{ErrorKind, Failure};

use super::fixture::{Place, TEXT, read, table, texts};
use super::server::Server;

const BUCKET: &str = "s3://raceline-test";

fn options(server: &Server) -> BTreeMap<String, String> {
    let pairs = [("endpoint", server.endpoint.as_str()), ("key", "a"), ("secret", "b")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

async fn listed(server: &Server, place: &Place, path: &str) -> Result<Vec<String>, Failure> {
    let mut scan = place.scan(FileFormat::Binary, &[]);
    scan.paths = vec![format!("{BUCKET}/{path}")];
    scan.storage_options = options(server);
    let files = Listing::new(Arc::clone(&place.stores), &scan)?.files();
    files.map_ok(|file| file.location.to_string()).try_collect().await
}

#[tokio::test]
async fn objects_are_listed_and_read() {
    let server = Server::with_bucket("raceline-test");
    let place = Place::local();
    let located = place.stores.resolve(BUCKET, &options(&server)).unwrap();
    // More than one page of results.
    let puts = (0..1100).map(|at| {
        let (store, path) = (Arc::clone(&located.store), format!("many/k={}/{at:04}.txt", at % 2));
        async move {
            let payload = PutPayload::from(format!("line {at}\n"));
            store.put(&Path::parse(path).unwrap(), payload).await.map(drop)
        }
    });
    let puts = futures::stream::iter(puts.map(Ok::<_, object_store::Error>));
    puts.try_for_each_concurrent(16, |put| put).await.unwrap();

    assert_eq!(listed(&server, &place, "many").await.unwrap().len(), 1100);
    assert_eq!(listed(&server, &place, "many/k=1/*.txt").await.unwrap().len(), 550);
    assert_eq!(listed(&server, &place, "m*/k=0/001*").await.unwrap().len(), 5);
    assert_eq!(listed(&server, &place, "many/k=0/0002.txt").await.unwrap(), ["many/k=0/0002.txt"]);
    let missing = listed(&server, &place, "nothing").await.unwrap_err();
    assert_eq!(missing.to_string(), "no such file or folder: `s3://raceline-test/nothing`");
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    let mut scan = place.scan(TEXT, &[]);
    scan.paths = vec![format!("{BUCKET}/many/k=1")];
    scan.storage_options = options(&server);
    let splits = place.splits(&scan).await.unwrap();
    let columns = FileColumns::new(TextReader::content(), &["k".into()], true, None).unwrap();
    let options = TextReadOptions { drop_empty_lines: true };
    let reader = TextReader::new(Arc::clone(&place.stores), options, columns);
    let batches = read(&reader, &splits).await.unwrap();
    let lines = texts(&batches, "text");
    assert_eq!((lines.len(), lines[0].as_deref()), (550, Some("line 1")));
    assert_eq!(texts(&batches, "path")[0].as_deref(), Some("raceline-test/many/k=1/0001.txt"));
}

#[tokio::test]
async fn writes_appear_together_and_are_replaced() {
    let server = Server::with_bucket("raceline-test");
    let place = Place::local();
    let mut spec = place.spec("", WriteFormat::Csv);
    spec.path = format!("{BUCKET}/out");
    spec.storage_options = options(&server);
    spec.rows_per_file_max = Some(700_000);
    spec.mode = SaveMode::Overwrite;
    for _ in 0..2 {
        // Enough for several parts of an upload.
        let batches = (0..20).map(|at| Ok(table(at * 50_000, 50_000))).collect();
        place.write_somewhere(spec.clone(), batches).await.unwrap();
        let files = listed(&server, &place, "out").await.unwrap();
        assert_eq!(files.len(), 2, "{files:?}");
        let mut rows = 0;
        for file in &files {
            let located = place.stores.resolve(BUCKET, &spec.storage_options).unwrap();
            let path = Path::parse(file).unwrap();
            let bytes = located.store.get(&path).await.unwrap().bytes().await.unwrap();
            rows += String::from_utf8_lossy(&bytes).lines().count() - 1;
        }
        assert_eq!(rows, 1_000_000);
    }
    let failing = vec![
        Ok(table(0, 10)),
        Err(Failure::from(raceline_types::InternalError::new("input failed"))),
    ];
    spec.path = format!("{BUCKET}/failed");
    place.write_somewhere(spec, failing).await.unwrap_err();
    assert_eq!(listed(&server, &place, "failed").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn markers_of_folders_are_no_files() {
    let server = Server::with_bucket("raceline-test");
    let place = Place::local();
    for key in ["data/", "data/2024/", "data/2024/a.txt", "data/2024/none.txt", "data/empty/"] {
        server
            .put(&format!("raceline-test/{key}"), if key.ends_with("a.txt") { "one" } else { "" });
    }
    let files = ["data/2024/a.txt", "data/2024/none.txt"];
    for path in ["data", "data/", "data/2024/", "data/*", "data/*/*"] {
        assert_eq!(listed(&server, &place, path).await.unwrap(), files, "{path}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (server, strict) = (Server::with_bucket("raceline-test"), Server::that_refuses());
    let place = Place::local();
    let failure = async |path: &str, options: BTreeMap<String, String>| {
        let mut scan = place.scan(FileFormat::Binary, &[]);
        (scan.paths, scan.storage_options) = (vec![path.to_owned()], options);
        place.splits(&scan).await.unwrap_err()
    };
    let gone = failure("s3://no-such-bucket/x", options(&server)).await;
    assert_eq!(gone.to_string(), "no such bucket: `no-such-bucket`");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    // A file is asked for by itself, a pattern by a listing.
    for (path, uri) in [("x", "x"), ("*.csv", "")] {
        let path = format!("s3://raceline-test/{path}");
        let refused = failure(&path, options(&strict)).await;
        let message = format!("access to `s3://raceline-test/{uri}` was refused");
        assert_eq!(refused.to_string(), message);
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }
    let mut nobody = options(&server);
    nobody.remove("key");
    nobody.remove("secret");
    let start = std::time::Instant::now();
    let failure = failure("s3://raceline-test/x", nobody).await;
    assert_eq!(failure.to_string(), "no credentials for `s3://raceline-test/x`");
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}
