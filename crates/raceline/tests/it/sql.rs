//! Queries in SQL by the Rust API.

use raceline::ErrorKind;

use crate::{ints, session};

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
