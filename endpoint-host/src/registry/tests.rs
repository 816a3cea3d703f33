use super::*;
use crate::record::PrimaryContainer;

fn model(name: &str, creation_time: f64) -> Model {
    let name = ResourceName::parse(name).unwrap();
    Model {
        model_arn: format!("arn:{name}"),
        model_name: name,
        creation_time,
        primary_container: PrimaryContainer {
            image: "image".to_owned(),
            mode: "SingleModel".to_owned(),
            model_data_url: "file:///m".to_owned(),
            environment: BTreeMap::new(),
        },
        execution_role_arn: None,
        enable_network_isolation: false,
    }
}

async fn open(folder: &tempfile::TempDir) -> Table<Model> {
    let store = Store::open(&folder.path().join("host.db")).await.unwrap();
    Registry::load(&store).await.unwrap().models
}

async fn table(folder: &tempfile::TempDir, names: &[&str]) -> Table<Model> {
    let table = open(folder).await;
    for (second, name) in names.iter().enumerate() {
        table.insert(model(name, second as f64), Tags::new()).await.unwrap();
    }
    table
}

fn query(by: SortBy, order: SortOrder, limit: usize) -> Query {
    Query { filter: Filter::default(), sort: Sort { by, order }, limit, behind: None }
}

fn newest(limit: usize) -> Query {
    query(SortBy::CreationTime, SortOrder::Descending, limit)
}

fn names(page: &[Arc<Model>]) -> Vec<&str> {
    page.iter().map(|model| model.model_name.as_str()).collect()
}

#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended_whatever_is_created_and_deleted_between() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder, &["a", "b", "c", "d"]).await;
    let (first, next) = table.page(&newest(2));
    assert_eq!(names(&first), ["d", "c"]);
    assert!(table.remove("c").await.unwrap());
    table.insert(model("e", 9.0), Tags::new()).await.unwrap();
    let (second, end) = table.page(&Query { behind: next, ..newest(2) });
    assert_eq!(names(&second), ["b", "a"]);
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_list_is_sorted_by_name_or_creation_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder, &["b", "c", "a"]).await;
    for (by, order, expected) in [
        (SortBy::Name, SortOrder::Ascending, ["a", "b", "c"]),
        (SortBy::Name, SortOrder::Descending, ["c", "b", "a"]),
        (SortBy::CreationTime, SortOrder::Ascending, ["b", "c", "a"]),
        (SortBy::CreationTime, SortOrder::Descending, ["a", "c", "b"]),
    ] {
        assert_eq!(names(&table.page(&query(by, order, 9)).0), expected, "{by:?} {order:?}");
        let mut behind = None;
        for name in expected {
            let (page, next) = table.page(&Query { behind, ..query(by, order, 1) });
            assert_eq!(names(&page), [name], "{by:?} {order:?}");
            behind = next;
        }
        assert_eq!(behind, None);
    }
}

#[tokio::test]
async fn records_of_one_millisecond_are_listed_in_the_order_of_their_creation() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder).await;
    for name in ["z", "a", "m"] {
        table.insert(model(name, 7.125), Tags::new()).await.unwrap();
    }
    assert_eq!(names(&table.page(&newest(9)).0), ["m", "a", "z"]);
}

#[tokio::test]
async fn a_page_holds_only_what_fits_the_filter() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder, &["spam-1", "ham", "spam-2", "spam-3"]).await;
    let by_name = Filter { name_contains: "spam".to_owned(), ..Filter::default() };
    let (found, next) = table.page(&Query { filter: by_name, ..newest(9) });
    assert_eq!(names(&found), ["spam-3", "spam-2", "spam-1"]);
    assert_eq!(next, None);
    let created = Window { after_ms: Some(1000), before_ms: Some(3000) };
    let by_time = Filter { created, ..Filter::default() };
    let (found, next) = table.page(&Query { filter: by_time, ..newest(1) });
    assert_eq!(names(&found), ["spam-2"]);
    assert!(next.is_some(), "ham follows");
}

#[tokio::test]
async fn a_name_can_be_used_again_once_its_record_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder, &["a"]).await;
    let again = table.insert(model("a", 1.0), Tags::new()).await;
    assert!(matches!(again, Err(NotAdded::Taken(_))));
    assert!(table.remove("a").await.unwrap());
    assert!(!table.remove("a").await.unwrap());
    table.insert(model("a", 2.0), Tags::new()).await.unwrap();
    assert_eq!(names(&table.page(&newest(9)).0), ["a"]);
}

#[tokio::test]
async fn what_was_added_changed_and_tagged_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = table(&folder, &["a", "b", "c"]).await;
    first.remove("b").await.unwrap();
    let change = |model: &mut Model| model.execution_role_arn = Some("role".to_owned());
    assert!(first.update("a", change).await.unwrap());
    let note = |tags: &mut Tags| drop(tags.insert("team".to_owned(), "trust".to_owned()));
    assert!(first.tag("c", note).await.unwrap());
    first.store.close().await;
    let again = open(&folder).await;
    assert_eq!(names(&again.page(&newest(9)).0), ["c", "a"]);
    assert_eq!(again.get("a").unwrap().execution_role_arn.as_deref(), Some("role"));
    assert_eq!(again.tags("c").unwrap()["team"], "trust");
    again.remove("c").await.unwrap();
    again.insert(model("c", 5.0), Tags::new()).await.unwrap();
    assert!(again.tags("c").unwrap().is_empty(), "tags go with their record");
}

#[tokio::test]
async fn a_full_disk_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder, &["a"]).await;
    table.store.limit_to_present_size().await;
    let large = "x".repeat(100_000);
    let mut record = model("b", 1.0);
    record.primary_container.model_data_url.clone_from(&large);
    let Err(NotAdded::Store(error)) = table.insert(record, Tags::new()).await else {
        panic!("there was no room for it");
    };
    let refusal = format!("{:?}", crate::api_error::ApiError::store(&error));
    assert!(refusal.contains("500") && refusal.contains("InternalFailure"), "{refusal}");
    assert!(refusal.contains("the disk is full"), "{refusal}");
    let grow = |model: &mut Model| model.execution_role_arn = Some(large);
    assert!(table.update("a", grow).await.is_err());
    assert_eq!(table.get("a").unwrap().execution_role_arn, None);
    assert!(table.get("b").is_none());
    assert_eq!(names(&table.page(&newest(9)).0), ["a"]);
    table.store.close().await;
    assert_eq!(names(&open(&folder).await.page(&newest(9)).0), ["a"]);
}
