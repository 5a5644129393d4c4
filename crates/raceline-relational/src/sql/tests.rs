//! Queries over batches and ports, ample and tight.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use raceline_exec::Region as _;
use raceline_types::Failure;

use super::{PlannedQuery, PortTable, QueryRegion, QuerySource, QueryTable, SqlStatement};
use crate::engine::Engine;
use crate::fixture::{Collected, block_on, engine, port};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]))
}

/// Rows `first..last`, with a text of 100 bytes each.
fn rows(first: i64, last: i64) -> RecordBatch {
    let text = (first..last).map(|row| Some(format!("{row:0>100}")));
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(first..last)),
            Arc::new(text.collect::<StringArray>()),
        ],
    )
    .unwrap()
}

fn in_memory(batches: Vec<RecordBatch>) -> QueryTable {
    QueryTable::Batches { schema: schema(), batches: batches.into() }
}

/// The rows of `text` over `tables`, some of them the `ports`.
fn query(
    engine: &Arc<Engine>,
    text: &str,
    tables: Vec<(&str, QueryTable)>,
    ports: Vec<(Arc<PortTable>, Vec<RecordBatch>)>,
) -> Result<Collected, Failure> {
    let statement = SqlStatement::parse(text)?;
    let tables: Vec<_> = tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect();
    let mut out = Collected::default();
    block_on(async {
        let source = if ports.iter().all(|(table, _)| table.is_known()) {
            QuerySource::Planned(Arc::new(PlannedQuery::new(engine, &statement, &tables).await?))
        } else {
            QuerySource::Text { statement, tables }
        };
        let (tables, streams): (Vec<_>, Vec<_>) =
            ports.into_iter().map(|(table, batches)| (table, port(batches))).unzip();
        let region = QueryRegion::new(Arc::clone(engine), "Sql".into(), source, None, tables);
        region.run(streams, &mut out).await
    })?;
    Ok(out)
}

/// The one number of a result.
fn number(result: &Collected) -> i64 {
    let rows = result.rows();
    assert_eq!(rows.num_rows(), 1);
    rows.column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn tables_are_named_once_and_common_tables_are_none() {
    let tables = |text| SqlStatement::parse(text).unwrap().tables().to_vec();
    assert_eq!(
        tables("with c as (select * from A) select * from c join \"B\" b on true join a x on true"),
        ["B", "a"]
    );
    assert_eq!(tables("select * from 's3://bucket/*.parquet'"), ["s3://bucket/*.parquet"]);
    assert!(tables("select 1").is_empty());
}

#[test]
fn a_result_has_no_views_and_every_column_may_be_null() {
    let engine = engine(2, 64 << 20);
    let text = "select 'x' || text as t, 1 as one, array_agg(text) as l from t group by text";
    let result =
        query(&engine, text, vec![("t", in_memory(vec![rows(0, 3)]))], Vec::new()).unwrap();
    let schema = result.rows().schema();
    assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
    assert!(schema.field(1).is_nullable());
    let DataType::List(item) = schema.field(2).data_type() else { panic!("not a list") };
    assert_eq!(item.data_type(), &DataType::Utf8);
}

#[test]
fn a_port_that_is_read_once_streams_and_one_that_joins_itself_is_kept() {
    let engine = engine(2, 64 << 20);
    for known in [Some(schema()), None] {
        for (text, expected) in [
            ("select count(*) from t where k % 2 = 0", 500),
            ("select count(*) from t x join t y on x.k = y.k + 1", 999),
            ("select count(*) from (select k from t union all select k from t)", 2000),
        ] {
            let table = Arc::new(PortTable::new(known.clone()));
            let tables = vec![("t", QueryTable::Port(Arc::clone(&table)))];
            let batches = (0..10).map(|at| rows(at * 100, at * 100 + 100)).collect();
            let result = query(&engine, text, tables, vec![(table, batches)]).unwrap();
            assert_eq!(number(&result), expected, "{text}");
        }
    }
    assert_eq!(engine.reserved_bytes(), 0);
}

#[test]
fn joins_whose_sides_do_not_fit_spill() {
    // 2 x 12 MB of text, of which a hash table would hold one side.
    let engine = engine(2, 8 << 20);
    let text = "select count(x.text || y.text) from t x join t y on x.text = y.text";
    let batches = || (0..100).map(|at| rows(at * 1000, at * 1000 + 1000)).collect::<Vec<_>>();
    let result = query(&engine, text, vec![("t", in_memory(batches()))], Vec::new()).unwrap();
    assert_eq!(number(&result), 100_000);
    let table = Arc::new(PortTable::new(Some(schema())));
    let tables = vec![("t", QueryTable::Port(Arc::clone(&table)))];
    let result = query(&engine, text, tables, vec![(table, batches())]).unwrap();
    assert_eq!(number(&result), 100_000);
    assert_eq!(engine.reserved_bytes(), 0);
}

#[test]
fn a_join_without_equal_columns_that_does_not_fit_is_refused() {
    let engine = engine(2, 4 << 20);
    let text = "select count(*) from t x left join t y on x.text < y.text and x.k > 10";
    let batches = (0..100).map(|at| rows(at * 1000, at * 1000 + 1000)).collect();
    let failure = query(&engine, text, vec![("t", in_memory(batches))], Vec::new()).err().unwrap();
    assert_eq!(
        failure.render(),
        "out of memory for a join without equal columns\n  hint: join by `=` on some columns, or \
         give the session more memory: one side is held"
    );
}

#[test]
fn only_the_columns_that_are_read_are_asked_for() {
    let engine = engine(2, 64 << 20);
    let table = Arc::new(PortTable::new(Some(schema())));
    let tables = [("t".to_owned(), QueryTable::Port(Arc::clone(&table)))];
    let read = |text: &str| {
        let statement = SqlStatement::parse(text).unwrap();
        block_on(PlannedQuery::new(&engine, &statement, &tables)).unwrap().columns_read(&table)
    };
    assert_eq!(read("select text from t"), [1]);
    assert_eq!(read("select count(*) from t where k > 3"), [0]);
    assert_eq!(read("select x.k from t x where exists (select 1 from t where text = 'a')"), [0, 1]);
    assert!(read("select 1 from t where false").is_empty());
}
