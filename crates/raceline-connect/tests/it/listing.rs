//! Listing, by the same cases over every store.

use std::sync::Arc;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use raceline_connect::Listing;
use raceline_plan::{FileFormat, FileSplit, PartitionStyle};
use raceline_types::{Diagnostic, ErrorKind};

use super::fixture::{Place, TEXT};

const FILES: [&str; 9] = [
    "data/_SUCCESS",
    "data/.hidden/x.txt",
    "data/a-b/1.txt",
    "data/a/1.txt",
    "data/a/_kept.txt",
    "data/b.TXT",
    "data/c.csv",
    "data/year=2024/m=__HIVE_DEFAULT_PARTITION__/x.txt",
    "data/z.txt",
];

async fn filled() -> [Place; 2] {
    let places = Place::both();
    for place in &places {
        for name in FILES {
            place.put(name, "x").await;
        }
    }
    places
}

async fn check(paths: &[&str], extensions: Option<&[&str]>, expected: &[&str]) {
    for place in filled().await {
        let mut scan = place.scan(FileFormat::Parquet, paths);
        scan.extensions = extensions.map(|all| all.iter().map(|&one| one.to_owned()).collect());
        assert_eq!(place.list(&scan).await.unwrap(), expected, "{} {paths:?}", place.root);
    }
}

#[tokio::test]
async fn a_folder_is_listed_in_byte_order_without_hidden_entries() {
    let all: Vec<&str> = FILES[2..].to_vec();
    check(&["data"], None, &all).await;
    check(&["data/"], Some(&["csv"]), &["data/c.csv"]).await;
    check(&["data"], Some(&["txt"]), &[FILES[2], FILES[3], FILES[4], FILES[5], FILES[7], FILES[8]])
        .await;
}

#[tokio::test]
async fn paths_keep_their_order_and_files_need_no_extension() {
    check(&["data/z.txt", "data/a", "data/c.csv"], None, &[FILES[8], FILES[3], FILES[6]]).await;
    check(&["data/c.csv"], Some(&["parquet"]), &["data/c.csv"]).await;
}

#[tokio::test]
async fn patterns_match_on_any_level() {
    check(&["data/a*/1.txt"], None, &["data/a-b/1.txt", "data/a/1.txt"]).await;
    check(&["data/[bz].*"], None, &["data/b.TXT", "data/z.txt"]).await;
    check(&["data/a*"], None, &[FILES[2], FILES[3], FILES[4]]).await;
    check(&["data/**/x.txt"], None, &[FILES[7]]).await;
    check(&["da?a/year=*/*/*.txt"], None, &[FILES[7]]).await;
}

#[tokio::test]
async fn a_pattern_that_asks_for_hidden_names_gets_them() {
    for place in Place::both() {
        for name in ["h/_x.txt", "h/.y.txt", "h/z.txt", "h/_raceline-1/s.txt"] {
            place.put(name, "x").await;
        }
        for (pattern, expected) in [
            ("h/_*.txt", &["h/_x.txt"][..]),
            ("h/.*.txt", &["h/.y.txt"]),
            ("h/*.txt", &["h/z.txt"]),
        ] {
            let found = place.list(&place.scan(TEXT, &[pattern])).await.unwrap();
            assert_eq!(found, expected, "{pattern}");
        }
        let staged = place.list(&place.scan(TEXT, &["h/_r*"])).await.unwrap_err();
        assert!(staged.to_string().starts_with("no file matches"), "{staged}");
    }
}

#[tokio::test]
async fn hive_folders_become_partition_values() {
    for place in filled().await {
        let mut scan = place.scan(FileFormat::Parquet, &["data/year=2024"]);
        let values = |split: &FileSplit| -> Vec<(String, String)> {
            let values = split.partition_values.iter();
            values.map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let listing = Listing::new(Arc::clone(&place.stores), &scan).unwrap();
        let expected = [("year", "2024"), ("m", raceline_connect::HIVE_NULL)];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
        assert_eq!(values(&listing.first(1).await.unwrap()[0]), expected);
        scan.partitions = PartitionStyle::None;
        let listing = Listing::new(Arc::clone(&place.stores), &scan).unwrap();
        assert!(listing.first(1).await.unwrap()[0].partition_values.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_by_kind() {
    for place in filled().await {
        if place.is_local {
            std::fs::create_dir(place.path("empty")).unwrap();
        }
        let at = |name: &str| place.path(name);
        let failure = async |path: &str, extension: &str| {
            let mut scan = place.scan(FileFormat::Parquet, &[path]);
            scan.extensions = Some(vec![extension.to_owned()]);
            place.list(&scan).await.unwrap_err()
        };
        let missing = failure("nothing", "txt").await;
        assert_eq!(missing.to_string(), format!("no such file or folder: `{}`", at("nothing")));
        assert_eq!(missing.kind(), ErrorKind::NotFound);

        let none = failure("data", "parquet").await;
        let message = format!("no files with extension `parquet` under `{}`", at("data"));
        assert_eq!(none.to_string(), message);
        assert_eq!(none.kind(), ErrorKind::Plan);
        let hint = none.error().hint().unwrap();
        assert_eq!(hint, "there are files with extension `csv`, extension `txt`");

        let unmatched = failure("data/*.png", "png").await;
        assert_eq!(unmatched.to_string(), format!("no file matches `{}`", at("data/*.png")));
        assert_eq!(unmatched.kind(), ErrorKind::NotFound);

        if place.is_local {
            let empty = failure("empty", "txt").await;
            let message = format!("no files with extension `txt` under `{}`", at("empty"));
            assert_eq!(empty.to_string(), message);
        }
    }
}

#[tokio::test]
async fn schemes_and_options_are_checked_before_anything_is_asked() {
    let place = Place::local();
    let resolve = |path: &str, options: &[(&str, &str)]| {
        let options: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        place.stores.resolve(path, &options).map(|located| located.store_url.to_string())
    };
    let error = resolve("gs://b/x", &[]).unwrap_err();
    assert_eq!(error.to_string(), "`gs://b/x` has the unknown scheme `gs`");
    assert!(error.hint().unwrap().contains("s3://bucket"));
    let error = resolve("s3://b/x", &[("regoin", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "unknown storage option `regoin`");
    let here = [("endpoint", "http://127.0.0.1:1"), ("key", "a"), ("secret", "b")];
    let there = [("endpoint", "http://127.0.0.1:2"), ("key", "a"), ("secret", "b")];
    assert_eq!(resolve("s3://b/x", &here).unwrap(), "s3://b");
    assert_eq!(resolve("s3://b/y", &here).unwrap(), "s3://b");
    assert_eq!(resolve("s3://b/x", &there).unwrap(), "s3-2://b");
    assert_eq!(place.stores.all().len(), 3);
    assert!(place.stores.get("file://").is_some());
}

#[tokio::test]
async fn a_service_that_never_answers_is_told_soon() {
    let place = Place::local();
    let mut scan = place.scan(FileFormat::Parquet, &[]);
    scan.paths = vec!["s3://bucket/x".to_owned()];
    let options = [("endpoint", "http://127.0.0.1:9"), ("key", "a"), ("secret", "b")];
    scan.storage_options = options.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let start = Instant::now();
    let failure = place.list(&scan).await.unwrap_err();
    assert_eq!(failure.to_string(), "cannot reach `http://127.0.0.1:9`");
    assert_eq!(failure.kind(), ErrorKind::Source);
    assert!(failure.error().hint().unwrap().contains("AWS_ENDPOINT_URL"));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn small_files_are_packed_in_order_and_numbered() {
    let place = Place::memory();
    for at in 0..200 {
        place.put(&format!("many/{at:03}"), "x").await;
    }
    let splits = place.splits(&place.scan(TEXT, &["many"])).await.unwrap();
    assert!(splits.len() < 60, "{} splits", splits.len());
    assert!(splits.iter().enumerate().all(|(at, split)| split.id.0 == at as u64));
    assert_eq!(place.list(&place.scan(TEXT, &["many"])).await.unwrap().len(), 200);
}

#[tokio::test]
async fn listing_is_lazy() {
    let place = Place::memory();
    for at in 0..50 {
        place.put(&format!("many/{at:02}"), "x").await;
    }
    let listing =
        Listing::new(Arc::clone(&place.stores), &place.scan(FileFormat::Parquet, &["many"]));
    let mut splits = listing.unwrap().splits();
    let first = splits.next().await.unwrap().unwrap();
    assert_eq!(&*first.label, "memory://test/many/00");
}

#[tokio::test]
async fn a_shuffled_listing_has_all_files_and_depends_on_its_seed() {
    let place = Place::memory();
    for at in 0..50 {
        place.put(&format!("many/{at:02}"), "x").await;
    }
    let scan = place.scan(FileFormat::Parquet, &["many"]);
    let listing = Listing::new(Arc::clone(&place.stores), &scan).unwrap();
    let order = async |seed| {
        let splits = listing.clone().shuffled(seed).splits();
        splits.map(|split| split.unwrap().label.to_string()).collect::<Vec<_>>().await
    };
    let in_order: Vec<_> = (0..50).map(|at| format!("memory://test/many/{at:02}")).collect();
    assert_eq!(order(1).await, order(1).await);
    assert_ne!(order(1).await, order(2).await);
    let mut sorted = order(1).await;
    assert_ne!(sorted, in_order);
    sorted.sort();
    assert_eq!(sorted, in_order);
    // Whose columns are looked for does not depend on the order.
    assert_eq!(&*listing.shuffled(1).first(1).await.unwrap()[0].uri, "memory://test/many/00");
}

#[cfg(unix)]
#[tokio::test]
async fn links_to_folders_above_end() {
    let place = Place::local();
    place.put("data/a/1.txt", "x").await;
    std::os::unix::fs::symlink(place.path("data"), place.path("data/a/loop")).unwrap();
    std::os::unix::fs::symlink(place.path("gone"), place.path("data/dangling")).unwrap();
    assert_eq!(place.list(&place.scan(TEXT, &["data"])).await.unwrap(), ["data/a/1.txt"]);
}
