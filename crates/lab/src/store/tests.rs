use super::*;
use crate::analysis::tests::document;

fn open() -> (tempfile::TempDir, ResultStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
    (dir, store)
}

#[test]
fn a_run_is_there_from_its_first_trial_on() {
    let (dir, store) = open();
    let document = document(2);
    let plan = Plan::new("compare", document.subject.clone());
    store.begin("aa11bb22", &plan, Timestamp::now()).unwrap();
    store.record("aa11bb22", &document.trials[0]).unwrap();
    store.record("aa11bb22", &document.trials[1]).unwrap();
    // Somebody else reads what a killed run left.
    let other = ResultStore::open(&dir.path().join("results.db")).unwrap();
    let found = other.show("aa11").unwrap();
    assert_eq!((found.row.trials, found.row.finished_at), (2, None));
    assert_eq!(found.trials, document.trials[..2]);
    assert_eq!(found.document, None);
    store.stop("aa11bb22", "the run was cancelled").unwrap();
    assert_eq!(other.list().unwrap()[0].stopped.as_deref(), Some("the run was cancelled"));
}

#[test]
fn what_cannot_be_written_to_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd %41?#.db");
    assert_eq!(ResultStore::open_read_only(&path).unwrap().list().unwrap(), []);
    assert!(!path.exists());
    let document = document(2);
    let plan = Plan::new("compare", document.subject.clone());
    let store = ResultStore::open(&path).unwrap();
    store.begin("aa11bb22", &plan, Timestamp::now()).unwrap();
    drop(store);
    let looking = ResultStore::open_read_only(&path).unwrap();
    assert_eq!(looking.list().unwrap().len(), 1);
    drop(looking);
    // One of an earlier version too, which cannot be brought up to date.
    let older = Connection::open(&path).unwrap();
    older.execute_batch("DROP INDEX trial_run; PRAGMA user_version = 3;").unwrap();
    drop(older);
    let looking = ResultStore::open_read_only(&path).unwrap();
    assert_eq!(looking.list().unwrap().len(), 1);
    assert!(looking.stop("aa11bb22", "by whoever looks").is_err());
}

#[test]
fn a_finished_run_reads_back_whole() {
    let (_dir, store) = open();
    let document = document(3);
    store.finish(&document).unwrap();
    let found = store.show(&document.id).unwrap();
    assert_eq!(found.document, Some(document));
    assert!(matches!(store.show("ff"), Err(StoreError::NoResult(_))));
    assert!(matches!(store.show(""), Err(StoreError::NoResult(_))));
}

#[test]
fn the_beginning_of_two_ids_names_neither() {
    let (_dir, store) = open();
    let plan = Plan::new("compare", document(1).subject);
    for id in ["ab000001", "ab000002"] {
        store.begin(id, &plan, Timestamp::now()).unwrap();
    }
    assert!(matches!(store.show("ab"), Err(StoreError::Ambiguous(_))));
}

#[test]
fn a_database_of_another_time_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    assert!(matches!(ResultStore::open(&path), Err(StoreError::Foreign { .. })));
    std::fs::write(&path, "this is no database, whatever its name says").unwrap();
    assert!(ResultStore::open(&path).is_err());
}
