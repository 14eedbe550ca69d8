use tempfile::TempDir;

use super::*;
use crate::file::FileStore;

fn terms(limit: u64) -> Terms {
    Terms {
        name: "q".into(),
        limit,
        window: Window::default(),
        direction: None,
        flush: Duration::from_secs(10),
    }
}

fn store(folder: &TempDir) -> Store {
    Store::File(FileStore::open(&folder.path().join("quota.json")).unwrap())
}

fn stored(folder: &TempDir) -> serde_json::Value {
    let text = std::fs::read(folder.path().join("quota.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn it_ends_when_it_is_used_up_and_goes_on_when_reset() {
    let quota = Allotment::new(terms(1000), Store::Memory).await.unwrap();
    quota.count(Direction::In, 300);
    assert_eq!(quota.allow(Direction::Out, 5000), Allowance::Bytes(700));
    quota.count(Direction::Out, 700);
    assert_eq!(quota.allow(Direction::In, 1), Allowance::Over);
    assert!(quota.is_blocked());
    let state = quota.state();
    assert_eq!((state.used, state.limit, state.blocked), (1000, 1000, true));
    let changed = quota.changed();
    let (reset, ()) = tokio::join!(quota.reset(999), changed);
    reset.unwrap();
    assert_eq!(quota.allow(Direction::In, 5), Allowance::Bytes(1));
}

#[tokio::test]
async fn one_direction_may_count_and_no_limit_may_be_there() {
    let only_in = Terms {
        direction: Some(Direction::In),
        ..terms(100)
    };
    let quota = Allotment::new(only_in, Store::Memory).await.unwrap();
    quota.count(Direction::Out, 1000);
    assert_eq!(quota.state().used, 0);
    assert_eq!(quota.allow(Direction::Out, 1000), Allowance::Bytes(1000));
    quota.count(Direction::In, 100);
    assert_eq!(quota.allow(Direction::Out, 1000), Allowance::Over);
    let counting = Allotment::new(terms(0), Store::Memory).await.unwrap();
    counting.count(Direction::In, 1000);
    assert_eq!(
        (counting.state().used, counting.is_blocked()),
        (1000, false)
    );
}

#[tokio::test]
async fn outside_its_time_nothing_counts() {
    let now = SystemTime::now();
    let hour = Duration::from_hours(1);
    for (starts, expires, active) in [
        (Some(now - hour), Some(now + hour), true),
        (Some(now + hour), None, false),
        (None, Some(now - hour), false),
    ] {
        let terms = Terms {
            window: Window { starts, expires },
            ..terms(10)
        };
        let quota = Allotment::new(terms, Store::Memory).await.unwrap();
        quota.count(Direction::In, 20);
        let state = quota.state();
        assert_eq!((state.active, state.blocked), (active, active));
        assert_eq!(state.used, if active { 20 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_stored_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("quota.json"),
        r#"{"other": {"used": 7, "limit": 8, "startsAt": 0, "expiresAt": 0, "updatedAt": 9}}"#,
    )
    .unwrap();
    let quota = Allotment::new(terms(1000), store(&folder)).await.unwrap();
    quota.count(Direction::In, 300);
    while stored(&folder)["q"]["used"] != 300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    quota.count(Direction::In, 1);
    drop(quota);
    let found = stored(&folder);
    assert_eq!(
        (&found["q"]["used"], &found["q"]["limit"]),
        (&301.into(), &1000.into())
    );
    assert_eq!(
        (&found["q"]["startsAt"], &found["other"]["used"]),
        (&0.into(), &7.into())
    );
    let again = Allotment::new(terms(1000), store(&folder)).await.unwrap();
    assert_eq!(again.state().used, 301);
    // Configured anew, both count together for as long as both are there.
    let raised = Allotment::new(terms(2000), store(&folder)).await.unwrap();
    again.count(Direction::Out, 9);
    assert_eq!(raised.state().used, 310);
    // Another time is another quota.
    let later = Terms {
        window: Window {
            starts: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
            expires: None,
        },
        ..terms(1000)
    };
    let next = Allotment::new(later, store(&folder)).await.unwrap();
    assert_eq!(next.state().used, 0);
}

#[tokio::test]
async fn a_file_of_something_else_is_an_error_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota.json");
    std::fs::write(&path, "not ours").unwrap();
    assert!(FileStore::open(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"not ours");
}
