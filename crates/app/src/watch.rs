use std::time::Duration;

use crate::{App, AppError, InstanceRow, changes::Changes};

/// What happens within so short a time is told at once: a person sees no
/// difference, and an experiment that starts fifty instances is not disturbed.
const REST: Duration = Duration::from_millis(100);

impl App {
    /// Hands over all instances, oldest first, now and whenever one of them
    /// changed, whoever changed it. Ends when `send` returns false, or with
    /// the first error. An instance whose supervisor was killed is brought
    /// into a truthful state on the way.
    pub async fn watch_instances(
        &self,
        send: &mut (dyn FnMut(&[InstanceRow]) -> bool + Send),
    ) -> Result<(), AppError> {
        let mut shown: Option<Vec<InstanceRow>> = None;
        let mut changes = Changes::new();
        changes.folder(&self.home.instances());
        loop {
            for record in self.instances.list()? {
                changes.instance(&self.instances.dir(&record.id), &record);
            }
            if self.has_lost_instances()? {
                self.reap().await?;
            }
            let rows = self.instances(true)?;
            if shown.as_ref() != Some(&rows) {
                if !send(&rows) {
                    return Ok(());
                }
                shown = Some(rows);
            }
            changes.next().await;
            tokio::time::sleep(REST).await;
        }
    }

    /// Whether an instance counts as up while nobody looks after it.
    fn has_lost_instances(&self) -> Result<bool, AppError> {
        let records = self.instances.list()?;
        Ok(records.iter().any(|record| {
            record.state.is_up()
                && record.runtime.supervisor.is_some_and(|one| !tandem_probe::alive(one))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tandem_backend::InstanceStore;
    use tandem_home::Home;
    use tandem_model::{BackendKind, InstanceState, ProcessIdentity};

    use super::*;
    use crate::RunOptions;

    /// What was handed over, one entry a time.
    type Board = Arc<Mutex<Vec<Vec<(String, InstanceState)>>>>;

    #[tokio::test]
    async fn changes_made_elsewhere_are_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(Some(dir.path()), "/nonexistent/tandem".into()).unwrap();
        let seen = Board::default();
        let (watched, board) = (app.clone(), seen.clone());
        let watching = tokio::spawn(async move {
            let mut send = |rows: &[InstanceRow]| {
                let rows = rows.iter().map(|row| (row.name.clone(), row.state)).collect();
                board.lock().unwrap().push(rows);
                true
            };
            watched.watch_instances(&mut send).await
        });

        // Another program of the same home.
        let store = InstanceStore::new(Home::open(Some(dir.path())).unwrap());
        let wait = async |count: usize| {
            for _ in 0..200 {
                if seen.lock().unwrap().len() >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("only {:?}", seen.lock().unwrap());
        };
        wait(1).await;
        let mut record = store.create(spec("web")).unwrap();
        wait(2).await;
        record.state = InstanceState::Running;
        // A process that is long gone.
        record.runtime.supervisor = Some(ProcessIdentity { pid: 1, start: u64::MAX });
        store.save(&record).unwrap();
        wait(3).await;
        watching.abort();

        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], []);
        assert_eq!(seen[1], [("web".to_owned(), InstanceState::Created)]);
        assert_eq!(seen[2], [("web".to_owned(), InstanceState::Exited)]);
    }

    fn spec(name: &str) -> tandem_model::InstanceSpec {
        let options = RunOptions::new("image", BackendKind::Process);
        tandem_model::InstanceSpec {
            name: name.to_owned(),
            backend: options.backend,
            profile: None,
            accelerator: options.accelerator,
            image: options.image,
            digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            args: vec!["app".to_owned()],
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            stop_signal: "SIGTERM".to_owned(),
            stop_timeout_s: 10,
            ports: Vec::new(),
            resources: options.resources,
            hostname: None,
            remove: false,
            owner: None,
            labels: options.labels,
            options: options.options,
        }
    }
}
