//! Before and after of every rule, as text.

use datafusion::logical_expr::{col, lit};
use raceline_plan::{
    Aggregate, AggregateKind, CostLimit, DownloadSpec, ExchangeForm, FileFormat, FileScan,
    ImageReadOptions, JoinKind, JoinSpec, KeyedExchange, OnError, Passed, Projection, ScanRequest,
    ShuffleScope, SortKey, Source, UdfBody, UdfColumns, UdfKind, UdfSpec,
};

use super::*;

fn scan() -> Arc<Node> {
    scan_of(FileFormat::Parquet)
}

fn scan_of(format: FileFormat) -> Arc<Node> {
    Arc::new(Node::Source(Source::Files(Box::new(FileScan {
        format,
        paths: vec!["t.parquet".into()],
        storage_options: std::collections::BTreeMap::new(),
        partitions: raceline_plan::PartitionStyle::Hive,
        include_paths: false,
        extensions: None,
        shuffle: None,
        schema: None,
        is_strict: false,
        request: ScanRequest::default(),
    }))))
}

fn filter(input: Arc<Node>, predicate: Expr) -> Arc<Node> {
    Arc::new(Node::Filter { input, predicate })
}

fn select(input: Arc<Node>, columns: &[&str]) -> Arc<Node> {
    let columns = columns.iter().map(ToString::to_string).collect();
    Arc::new(Node::Project { input, projection: Projection::Select(columns) })
}

fn with(input: Arc<Node>, name: &str, expr: Expr) -> Arc<Node> {
    let name = name.to_owned();
    Arc::new(Node::Project { input, projection: Projection::With { name, expr } })
}

fn limit(input: Arc<Node>, rows: u64) -> Arc<Node> {
    Arc::new(Node::Limit { input, rows })
}

/// A function `f` that reads these columns.
fn udf(input: Arc<Node>, kind: UdfKind, reads: &[&str], change: fn(&mut UdfSpec)) -> Arc<Node> {
    let reads = Some(reads.iter().map(ToString::to_string).collect());
    let body = UdfBody::Foreign { payload: Arc::from([]), program: Err("".into()) };
    let columns = UdfColumns { reads, ..UdfColumns::default() };
    let mut udf = UdfSpec { columns, ..UdfSpec::new("f", kind, body) };
    change(&mut udf);
    Arc::new(Node::Udf { input, udf: Arc::new(udf) })
}

fn skip(input: Arc<Node>, rows: u64) -> Arc<Node> {
    Arc::new(Node::Skip { input, rows })
}

use datafusion::logical_expr::Expr;

fn check(before: &Arc<Node>, after: &[&str]) {
    assert_eq!(optimize(before, false).to_string().lines().collect::<Vec<_>>(), after);
}

#[test]
fn filters_and_projections_go_into_the_scan() {
    check(
        &select(filter(scan(), col("a").gt(lit(3))), &["b"]),
        &["Select(b)", "+- ReadParquet(t.parquet, columns=[b], filter=a > Int32(3))"],
    );
}

#[test]
fn a_filter_goes_below_a_column_that_it_does_not_read() {
    check(
        &filter(with(scan(), "c", col("a") + lit(1)), col("b").eq(lit(1))),
        &["WithColumn(c = a + Int32(1))", "+- ReadParquet(t.parquet, filter=b = Int32(1))"],
    );
}

#[test]
fn a_filter_stops_above_the_column_that_it_reads_and_above_other_filters() {
    let added = with(scan(), "c", col("a") + lit(1));
    check(
        // The first filter may guard the second, so they do not change places.
        &filter(filter(added, col("c").gt(lit(3))), col("b").eq(lit(1))),
        &[
            "Filter(b = Int32(1))",
            "+- Filter(c > Int32(3))",
            "   +- WithColumn(c = a + Int32(1))",
            "      +- ReadParquet(t.parquet)",
        ],
    );
}

#[test]
fn a_filter_does_not_find_a_column_that_the_selection_left_out() {
    check(
        &filter(select(scan(), &["b"]), col("a").gt(lit(3))),
        &["Filter(a > Int32(3))", "+- Select(b)", "   +- ReadParquet(t.parquet, columns=[b])"],
    );
}

#[test]
fn a_filter_above_a_limit_stays_there() {
    check(
        &filter(limit(scan(), 5), col("a").gt(lit(3))),
        &["Filter(a > Int32(3))", "+- Limit(5)", "   +- ReadParquet(t.parquet, limit=5)"],
    );
}

#[test]
fn a_limit_goes_below_projections_but_not_below_filters() {
    check(
        &limit(select(scan(), &["b"]), 5),
        &["Select(b)", "+- Limit(5)", "   +- ReadParquet(t.parquet, columns=[b], limit=5)"],
    );
    check(
        &limit(filter(scan(), col("a").gt(lit(3))), 5),
        &["Limit(5)", "+- ReadParquet(t.parquet, filter=a > Int32(3))"],
    );
}

#[test]
fn a_limit_stays_where_batches_may_fail() {
    let plan = limit(select(scan(), &["b"]), 5);
    let optimized = optimize(&plan, true).to_string();
    let expected = ["Limit(5)", "+- Select(b)", "   +- ReadParquet(t.parquet, columns=[b])"];
    assert_eq!(optimized.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn an_aggregate_reads_its_columns_only() {
    let sum = Aggregate::new(AggregateKind::Sum, Some("v".into()), true);
    let sorted = Arc::new(Node::Sort {
        input: scan(),
        keys: vec![SortKey { column: "s".into(), descending: true }],
    });
    check(
        &Arc::new(Node::Aggregate { input: sorted, keys: vec!["k".into()], aggregates: vec![sum] }),
        &[
            "Aggregate(by=[k], [sum(v)])",
            "+- Sort(s desc)",
            "   +- ReadParquet(t.parquet, columns=[k, s, v])",
        ],
    );
}

#[test]
fn a_shuffle_moves_the_columns_that_are_needed_and_keeps_its_rows() {
    let shuffled = Arc::new(Node::Shuffle {
        input: scan(),
        seed: 7,
        reseeds: false,
        scope: ShuffleScope::Rows,
    });
    check(
        // What is left of the rows keeps the order that all of them have.
        &select(limit(filter(shuffled, col("a").gt(lit(3))), 5), &["b"]),
        &[
            "Select(b)",
            "+- Limit(5)",
            "   +- Filter(a > Int32(3))",
            "      +- RandomShuffle(seed=7)",
            "         +- ReadParquet(t.parquet, columns=[a, b])",
        ],
    );
}

#[test]
fn partitions_move_the_columns_that_are_needed_and_groups_move_all() {
    let exchange = |form| {
        let spec = KeyedExchange { keys: vec!["k".into()], form };
        Arc::new(Node::Exchange { input: scan(), spec: Arc::new(spec) })
    };
    check(
        &select(exchange(ExchangeForm::Parts { parts: 2, sorted: true }), &["b"]),
        &[
            "Select(b)",
            "+- Repartition(2, by=[k], sorted)",
            "   +- ReadParquet(t.parquet, columns=[b, k])",
        ],
    );
    check(
        &udf(exchange(ExchangeForm::Groups), UdfKind::MapGroups, &[], |_| ()),
        &["MapGroups(f)", "+- Groups(by=[k])", "   +- ReadParquet(t.parquet)"],
    );
}

#[test]
fn a_scan_reads_the_columns_that_functions_look_at() {
    let map = |input, reads: &[&str]| udf(input, UdfKind::Map, reads, |_| ());
    check(&map(scan(), &["b", "a"]), &["Map(f)", "+- ReadParquet(t.parquet, columns=[a, b])"]);
    check(
        &map(limit(with(scan(), "c", col("a") + lit(1)), 5), &["b", "c"]),
        &[
            "Map(f)",
            "+- WithColumn(c = a + Int32(1))",
            "   +- Limit(5)",
            "      +- ReadParquet(t.parquet, columns=[a, b], limit=5)",
        ],
    );
    let images = scan_of(FileFormat::Image(ImageReadOptions::default()));
    check(&map(images, &["path"]), &["Map(f)", "+- ReadImages(t.parquet, columns=[path])"]);
    let named = |udf: &mut UdfSpec| {
        udf.columns.passes = Passed::Named(vec![("x".into(), "c".into())]);
    };
    check(
        &udf(scan(), UdfKind::MapBatches, &["a"], named),
        &["MapBatches(f)", "+- ReadParquet(t.parquet, columns=[a, c])"],
    );
}

#[test]
fn a_filter_function_needs_what_is_needed_above_it() {
    let filtered = || udf(scan(), UdfKind::Filter, &["a"], |_| ());
    check(&filtered(), &["Filter(f)", "+- ReadParquet(t.parquet)"]);
    check(
        &select(filtered(), &["b"]),
        &["Select(b)", "+- Filter(f)", "   +- ReadParquet(t.parquet, columns=[a, b])"],
    );
}

#[test]
fn a_function_that_hands_on_its_row_needs_what_functions_above_it_look_at() {
    let others = |udf: &mut UdfSpec| udf.columns.passes = Passed::Others;
    let added = || udf(scan(), UdfKind::Map, &["a"], others);
    check(&added(), &["Map(f)", "+- ReadParquet(t.parquet)"]);
    check(
        &udf(added(), UdfKind::MapBatches, &["b"], |_| ()),
        &["MapBatches(f)", "+- Map(f)", "   +- ReadParquet(t.parquet, columns=[a, b])"],
    );
    // Whether the function makes a column of this name is not known.
    check(&select(added(), &["b"]), &["Select(b)", "+- Map(f)", "   +- ReadParquet(t.parquet)"]);
}

#[test]
fn a_function_whose_batches_are_cut_by_cost_needs_the_costs() {
    let cut = |udf: &mut UdfSpec| {
        udf.batch_limits.cost = Some(CostLimit { cost: col("c"), most: 10.0 });
    };
    check(
        &udf(scan(), UdfKind::MapBatches, &["a"], cut),
        &["MapBatches(f)", "+- ReadParquet(t.parquet, columns=[a, c])"],
    );
}

#[test]
fn dead_letters_need_whole_rows() {
    let dead_letter = |udf: &mut UdfSpec| udf.on_error = OnError::DeadLetter;
    check(
        &udf(scan(), UdfKind::Map, &["a"], dead_letter),
        &["Map(f)", "+- ReadParquet(t.parquet)"],
    );
}

#[test]
fn the_key_function_of_a_group_needs_all_columns() {
    check(&udf(scan(), UdfKind::Key, &["a"], |_| ()), &["Key(f)", "+- ReadParquet(t.parquet)"]);
}

#[test]
fn columns_that_are_declared_must_exist_and_those_that_are_found_need_not() {
    let request = |node: &Arc<Node>| match optimize(node, false).inputs()[0].as_ref() {
        Node::Source(Source::Files(scan)) => scan.request.clone(),
        other => panic!("{other}"),
    };
    let found = request(&udf(scan(), UdfKind::Map, &["a"], |_| ()));
    assert_eq!((found.projection, found.wanted), (None, Some(["a".to_owned()].into())));
    let declared = request(&udf(scan(), UdfKind::Map, &["a"], |udf| udf.columns.declared = true));
    assert_eq!(declared.projection, Some(vec!["a".to_owned()]));
}

#[test]
fn the_sides_of_a_join_are_asked_for_its_keys_and_for_what_is_needed_of_it() {
    let spec = JoinSpec {
        kind: JoinKind::Inner,
        keys: vec![("id".into(), "user".into())],
        left_suffix: None,
        right_suffix: Some("_r".into()),
    };
    let joined = Arc::new(Node::Join { left: scan(), right: scan(), spec: Arc::new(spec) });
    let optimized = optimize(&select(Arc::clone(&joined), &["a", "b_r"]), false);
    let sides = optimized.inputs()[0].inputs();
    for (side, key) in sides.into_iter().zip(["id", "user"]) {
        let Node::Source(Source::Files(scan)) = side.as_ref() else { panic!("a scan") };
        assert_eq!(scan.request.projection, Some(vec![key.to_owned()]));
        let wanted: Vec<_> = scan.request.wanted.iter().flatten().collect();
        assert_eq!(wanted, ["a", "b", "b_r"]);
    }
    check(
        &joined,
        &["Join(inner, id = user)", "+- ReadParquet(t.parquet)", "+- ReadParquet(t.parquet)"],
    );
}

#[test]
fn a_skip_goes_to_the_source_across_what_keeps_the_number_of_rows() {
    check(
        &skip(select(skip(udf(scan(), UdfKind::Map, &["a"], |_| {}), 5), &["a"]), 7),
        &[
            "Select(a)",
            "+- Map(f)",
            "   +- Skip(12)",
            "      +- ReadParquet(t.parquet, columns=[a])",
        ],
    );
    check(&skip(limit(scan(), 10), 4), &["Limit(6)", "+- Skip(4)", "   +- ReadParquet(t.parquet)"]);
    check(&skip(limit(scan(), 3), 4), &["Limit(0)", "+- Skip(4)", "   +- ReadParquet(t.parquet)"]);
    let (uris, output) = ("u".into(), "b".into());
    let spec = DownloadSpec { uris, output, storage_options: std::collections::BTreeMap::new() };
    let fetched = Arc::new(Node::Download { input: scan(), spec: Arc::new(spec) });
    check(&skip(fetched, 4), &["Download(b = u)", "+- Skip(4)", "   +- ReadParquet(t.parquet)"]);
    let zip = Arc::new(Node::Zip { inputs: vec![scan(), scan()] });
    check(
        &skip(zip, 4),
        &[
            "Zip(2 inputs)",
            "+- Skip(4)",
            "   +- ReadParquet(t.parquet)",
            "+- Skip(4)",
            "   +- ReadParquet(t.parquet)",
        ],
    );
}

#[test]
fn a_skip_stays_behind_what_makes_another_number_of_rows() {
    check(
        &skip(filter(scan(), col("a").gt(lit(3))), 4),
        &["Skip(4)", "+- ReadParquet(t.parquet, filter=a > Int32(3))"],
    );
    check(
        &skip(udf(scan(), UdfKind::MapBatches, &["a"], |_| {}), 4),
        &["Skip(4)", "+- MapBatches(f)", "   +- ReadParquet(t.parquet, columns=[a])"],
    );
    let skipping = |udf: &mut UdfSpec| udf.on_error = OnError::Skip;
    check(
        &skip(udf(scan(), UdfKind::Map, &["a"], skipping), 4),
        &["Skip(4)", "+- Map(f)", "   +- ReadParquet(t.parquet, columns=[a])"],
    );
    let plan = skip(udf(scan(), UdfKind::Map, &["a"], |_| {}), 4);
    let kept = optimize(&plan, true).to_string();
    assert!(kept.starts_with("Skip(4)\n+- Map(f)\n"), "{kept}");
    check(
        &skip(with(scan(), "n", datafusion::functions::math::random().call(vec![])), 4),
        &["Skip(4)", "+- WithColumn(n = random())", "   +- ReadParquet(t.parquet)"],
    );
}

#[test]
fn least_and_greatest_values_of_all_rows_ask_for_bounds() {
    let of = |input: Arc<Node>, keys: &[&str], kind: AggregateKind, ignore_nulls: bool| {
        let aggregate =
            Aggregate { kind, column: Some("a".into()), ignore_nulls, name: "found".into() };
        let keys = keys.iter().map(ToString::to_string).collect();
        let node = Arc::new(Node::Aggregate { input, keys, aggregates: vec![aggregate] });
        optimize(&node, false).to_string().contains("only bounds")
    };
    assert!(of(scan(), &[], AggregateKind::Min, true));
    assert!(of(scan(), &[], AggregateKind::Max, true));
    assert!(!of(scan(), &[], AggregateKind::Max, false));
    assert!(!of(scan(), &[], AggregateKind::Sum, true));
    assert!(!of(scan(), &["b"], AggregateKind::Max, true));
    assert!(!of(filter(scan(), col("b").gt(lit(3))), &[], AggregateKind::Max, true));
    assert!(!of(limit(scan(), 3), &[], AggregateKind::Max, true));
    assert!(!of(scan_of(FileFormat::Binary), &[], AggregateKind::Max, true));
}
