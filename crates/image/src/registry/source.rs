//! Where an image can come from: the mirrors of its registry, then the
//! registry.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tandem_home::Home;
use tandem_model::ImageRef;
use tokio::sync::OnceCell;

use super::{
    Access, Credentials, LoginFiles, Notice, RegistryError, Transfer, clients::Clients,
    endpoint::Endpoint, host, settings::Settings,
};
use crate::ImageError;

/// The places to ask, in order.
pub(crate) struct Source {
    registry: String,
    clients: Arc<Clients>,
    access: Access,
    notice: Notice,
    places: Vec<(String, OnceCell<Endpoint>)>,
    /// The first that is worth asking: those before it have failed.
    first: AtomicUsize,
}

impl Source {
    /// The mirrors and the registry of an image; with `mirrors` false the
    /// registry alone.
    pub(crate) fn new(
        home: &Home,
        reference: &ImageRef,
        access: Access,
        mirrors: bool,
        notice: Notice,
    ) -> Result<Self, RegistryError> {
        let registry = reference.registry().to_owned();
        let settings = Settings::of_home(home.root())?;
        let mut places = settings.of(&registry).mirrors;
        if !mirrors {
            places.clear();
        }
        places.push(registry.clone());
        Ok(Self {
            clients: Arc::new(Clients::new(settings, &registry)?),
            places: places.into_iter().map(|place| (place, OnceCell::new())).collect(),
            registry,
            access,
            notice,
            first: AtomicUsize::new(0),
        })
    }

    /// The place to ask first.
    pub(crate) fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// The place to ask when one could not help, or what kept it from that
    /// when it was the last.
    pub(crate) fn after(&self, at: usize, error: ImageError) -> Result<usize, ImageError> {
        match error {
            ImageError::Registry(error) if at + 1 < self.places.len() => {
                let reason = format!("mirror {}: {error}", self.places[at].0);
                (self.notice)(Transfer::Again { reason, wait: std::time::Duration::ZERO });
                self.first.fetch_max(at + 1, Ordering::Relaxed);
                Ok(at + 1)
            }
            error => Err(error),
        }
    }

    /// The registry itself.
    pub(crate) async fn registry(&self) -> Result<&Endpoint, RegistryError> {
        self.endpoint(self.places.len() - 1).await
    }

    pub(crate) async fn endpoint(&self, at: usize) -> Result<&Endpoint, RegistryError> {
        let (place, cell) = &self.places[at];
        // Finding out how to talk to it is done once.
        cell.get_or_try_init(|| async {
            let is_registry = at + 1 == self.places.len();
            let (credentials, trouble) = self.credentials(place, is_registry).await?;
            let notice = Arc::clone(&self.notice);
            let clients = Arc::clone(&self.clients);
            let endpoint = Endpoint::open(place, clients, credentials, notice).await?;
            Ok(endpoint.with_trouble(trouble))
        })
        .await
    }

    async fn credentials(
        &self,
        place: &str,
        is_registry: bool,
    ) -> Result<(Option<Credentials>, Option<RegistryError>), RegistryError> {
        let name = if is_registry { &self.registry } else { host::normal(place) };
        match &self.access {
            Access::User => LoginFiles::of_user().find(name).await,
            Access::As(credentials) if is_registry => Ok((Some(credentials.clone()), None)),
            Access::As(_) | Access::Anonymous => Ok((None, None)),
        }
    }
}
