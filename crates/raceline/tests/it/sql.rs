//! Queries in SQL by the Rust API.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::kernels::numeric::add;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use raceline::{Dataset, ErrorKind, Node, QueryFunction, Session, SqlTable};

use crate::{ints, session};

/// `double(x)`.
fn double(session: &Session) -> Arc<QueryFunction> {
    let twice = session.range(0).map_batches("double", |batch: &RecordBatch| {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let Some(place) = field.name().strip_prefix("__raceline_call k ") else {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
                continue;
            };
            let call = place.split(' ').next().unwrap_or_default();
            let result = format!("__raceline_call k {call}");
            fields.push(Arc::new(Field::new(result, DataType::Int64, true)));
            columns.push(add(column, column)?);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    });
    let Node::Udf { udf, .. } = twice.plan().as_ref() else { panic!("no function") };
    Arc::new(QueryFunction {
        name: "double".to_owned(),
        key: "k".to_owned(),
        returns: Arc::new(Field::new("double", DataType::Int64, true)),
        is_deterministic: true,
        udf: Arc::clone(udf),
    })
}

/// A query that calls `double` over the tables `t` and `u`.
fn calling(session: &Session, text: &str, tables: [&Dataset; 2]) -> Dataset {
    let tables = [("t", tables[0]), ("u", tables[1])];
    let tables = tables.map(|(name, dataset)| SqlTable { name, dataset, columns: None });
    session.sql_with_functions(text, &tables, &[double(session)]).unwrap()
}

#[test]
fn functions_run_between_the_parts_of_a_query() {
    let session = session();
    let (t, u) = (session.range(10), session.range(5));
    for (text, expected) in [
        ("select double(id) as id from t where double(id) > 12 order by 1", vec![14, 16, 18]),
        ("select double(double(id)) as id from t where id < 2 order by 1", vec![0, 4]),
        ("select t.id from t join u on t.id = double(u.id) order by 1", vec![0, 2, 4, 6, 8]),
        ("select t.id from t join u on double(t.id + u.id) = 24 order by 1", vec![8, 9]),
        ("select sum(double(id)) as id from t group by double(id % 2) order by 1", vec![40, 50]),
        ("select id from t order by double(-id) limit 2", vec![9, 8]),
        ("select id from t where id not in (select double(id) from u) and id < 4", vec![1, 3]),
    ] {
        let rows = calling(&session, text, [&t, &u]).collect().unwrap();
        let mut ids = ints(&rows, "id");
        if !text.contains("order by") {
            ids.sort_unstable();
        }
        assert_eq!(ids, expected, "{text}");
    }
}

#[test]
fn calls_whose_results_cannot_be_a_column_are_refused() {
    let session = session();
    let (t, u) = (session.range(3), session.range(3));
    for (text, place) in [
        (
            "select t.id from t left join u on double(t.id + u.id) = 2",
            "over columns of both sides of an outer join",
        ),
        (
            "with recursive r as (select 1 as n union all select double(n) from r where n < 9) \
             select n from r",
            "in the part of a query that repeats",
        ),
        ("select * from (values (double(1)))", "at its place"),
    ] {
        let failure = calling(&session, text, [&t, &u]).collect().unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Plan);
        assert_eq!(
            failure.render(),
            format!(
                "`double` cannot be called {place}\n  hint: call it in a subquery, and use its \
                 result: `select double(...) as x from ...`"
            )
        );
    }
}

#[test]
fn the_columns_of_tables_must_be_known_to_call_functions() {
    let session = session();
    let (t, u) = (session.range(3), session.range(3));
    let opaque = t.map_batches("opaque", |batch| Ok::<_, ArrowError>(batch.clone()));
    let text = "select double(id) as id from t order by 1";
    let failure = calling(&session, text, [&opaque, &u]).collect().unwrap_err();
    assert_eq!(
        failure.render(),
        "the columns of table `t` are not known before it runs\n  hint: tell them, as a query that \
         calls your functions is planned before it runs"
    );
    let columns = t.schema().unwrap().unwrap();
    let table = SqlTable { name: "t", dataset: &opaque, columns: Some(&columns) };
    let told = session.sql_with_functions(text, &[table], &[double(&session)]).unwrap();
    assert_eq!(ints(&told.collect().unwrap(), "id"), [0, 2, 4]);
}

#[test]
fn a_query_over_datasets_goes_on_as_a_dataset() {
    let session = session();
    let (t, u) = (session.range(10), session.range(5));
    let text = "select t.id from t join u on t.id = u.id + 3 order by t.id";
    let joined = session.sql(text, &[("t", &t), ("u", &u)]).unwrap();
    assert_eq!(ints(&joined.collect().unwrap(), "id"), [3, 4, 5, 6, 7]);
    assert_eq!(ints(&joined.limit(2).collect().unwrap(), "id"), [3, 4]);
    assert_eq!(joined.count().unwrap(), 5);
    let again = session.sql("select sum(id) as s from j", &[("j", &joined)]).unwrap();
    assert_eq!(ints(&again.collect().unwrap(), "s"), [25]);
}

#[test]
fn a_table_that_is_not_given_is_named() {
    let session = session();
    let failure = session.sql("select * from numers", &[("numbers", &session.range(1))]);
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Plan);
    assert_eq!(
        failure.render(),
        "no table `numers`\n  tables: `numbers`\n  hint: did you mean `numbers`?"
    );
    let failure = session.sql("select * from zz", &[]).unwrap_err();
    assert_eq!(
        failure.render(),
        "no table `zz`\n  hint: pass it as a keyword argument, `zz=dataset`; paths of files stand in \
         single quotes"
    );
}
