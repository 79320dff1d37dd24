//! The use cases that the command line and the window share.
//!
//! This is the composition root: only here do the laboratory, the builder and
//! the backends meet. Nothing here knows of Tauri or of a terminal: progress
//! goes out as events, results come back as values.

mod abandon;
mod archive;
mod attach;
mod base;
mod beside;
mod build;
mod bundle;
mod bundling;
mod cancel;
mod changes;
mod class;
mod class_export;
mod commit;
mod console;
mod control;
mod copy;
mod course;
mod database;
mod disk_import;
mod doctor;
mod errand;
mod error;
mod exchange;
mod experiment;
mod filter;
mod fit;
mod frame;
mod give;
mod guest;
mod health;
pub mod helper;
mod image_detail;
mod image_filter;
mod images;
mod instances;
mod label_wish;
mod lesson;
mod list_filter;
mod live;
mod logs;
mod machine_disk;
mod machine_exchange;
mod machine_system;
mod network;
mod platform;
mod prediction;
mod prober;
mod project;
mod prune_filter;
mod pulling;
mod reap;
mod recordings;
mod registry;
mod results;
mod run;
mod run_wish;
mod size;
mod snapshot;
mod so_far;
mod spec;
mod subject;
mod swap;
mod system;
mod terminal;
mod update;
mod usage;
mod volumes;
mod watch;
mod whole_file;
mod work;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_backend::{Backend, InstanceStore, SupervisedBackend};
use tandem_container::{ContainerEngine, ProcessEngine};
use tandem_docker::EngineApi;
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{BackendKind, Machine};
use tandem_vm::VmEngine;

use machine_system::Systems;

pub use beside::BesideView;
pub use build::{BuildOutput, StreamedContext};
pub use bundle::{
    BundleError, BundleEvent, BundleItem, BundleKind, BundleReport, BundleRequest, BundleState,
    FoundBundle, found_bundles,
};
pub use bundling::Bundling;
pub use cancel::Cancel;
pub use class::{ClassText, ClassView, ClassWish, class_results, view_class, wished_class};
pub use class_export::{ClassFormat, export_class};
pub use commit::CommitRequest;
pub use copy::{Copy, CopyEnd};
pub use database::{Database, QueryAnswer, QueryTable};
pub use disk_import::DiskWishes;
pub use errand::Errand;
pub use error::AppError;
pub use experiment::ExperimentRequest;
pub use filter::InstanceFilter;
pub use frame::{Beginning, Frame, Opening, Timed};
pub use give::{GiftKind, Given};
pub use health::HealthWishes;
pub use image_detail::{ChangedPath, HistoryStep, ImageDetail, LayerDetail};
pub use image_filter::ImageFilter;
pub use images::{ImageRow, ImageTree, RemovedImage};
pub use instances::InstanceRow;
pub use label_wish::LabelWish;
pub use lesson::{
    CheckOutcome, CommandEnd, Done, LessonProgress, LessonRow, LessonView, Looked, SaidBy, Spot,
};
pub use list_filter::ListFilter;
pub use live::{ChartView, Charts, Curve, LineChart, Live};
pub use logs::{LogOptions, LogRow};
pub use network::{Member, NetworkRow, PortRow, chosen_networks};
pub use project::{Building, Project, ProjectFile, TextFault};
pub use prune_filter::PruneFilter;
pub use pulling::{Pulling, PullingLayer, PullingState};
pub use results::{ResultFormat, ResultView, ShownResult};
pub use run_wish::RunWish;
pub use size::InstanceSize;
pub use snapshot::{Restored, SnapshotRow, Taken};
pub use spec::{PullWhen, RunOptions};
pub use subject::{SubjectInfo, SubjectKind};
pub use system::{
    CheckReport, DfDetail, DfImage, DfInstance, DfReport, DfRow, DfVolume, Finding, Outside,
    PruneRequest, Pruned, SystemInfo,
};
pub use tandem_backend::{keep_descriptors, take_standard_input};
pub use tandem_container::{Change, ChangeKind};
pub use tandem_image::{ArchiveFormat, ArchiveSource, LayerChangeKind, Transfer};
pub use tandem_lab::{
    Against, CellBeside, Class, ClassGroup, Description as ExperimentInfo, Guide, LaneFit,
    ResultRow, Scarce, SideBySide,
};
pub use tandem_lesson::Language;
pub use tandem_report::{Size, Theme};
pub use tandem_vm::{DiskFormat, ForeignFormat};
pub use terminal::{
    OpenedTerminal, Terminal, TerminalEnd, TerminalKeys, TerminalKind, TerminalSize,
};
pub use update::{UpdateHow, UpdateMode, UpdateReport, UpdateWishes};
pub use usage::{GuestUsage, TopRow, UsageRow};
pub use volumes::VolumeRow;
pub use whole_file::{new_path, whole_path, write_file, write_named_file, write_new_file};

/// An open home with everything that works on it.
pub struct App {
    home: Home,
    instances: InstanceStore,
    images: Store,
    program: PathBuf,
    container: Arc<dyn Backend>,
    process: Arc<dyn Backend>,
    vm: Arc<dyn Backend>,
    docker: Arc<dyn Backend>,
    podman: Arc<dyn Backend>,
}

impl App {
    /// Opens the home at `root`, or at its usual place. `program` is the
    /// `tandem` executable, whose hidden entry points run the engines.
    pub fn open(root: Option<&Path>, program: PathBuf) -> Result<Arc<Self>, AppError> {
        let home = Home::open(root)?;
        let instances = InstanceStore::new(home.clone());
        let images = Store::open(&home)?;
        let supervised = |store: &InstanceStore| (store.clone(), program.clone());
        let (store, tandem) = supervised(&instances);
        let container = SupervisedBackend::new(ContainerEngine::new(home.clone()), store, tandem);
        let (store, tandem) = supervised(&instances);
        let process = SupervisedBackend::new(ProcessEngine::new(home.clone()), store, tandem);
        let (store, tandem) = supervised(&instances);
        let docker = SupervisedBackend::new(EngineApi::docker(home.clone()), store, tandem);
        let (store, tandem) = supervised(&instances);
        let podman = SupervisedBackend::new(EngineApi::podman(home.clone()), store, tandem);
        let (store, tandem) = supervised(&instances);
        Ok(Arc::new_cyclic(|app| {
            let systems = Arc::new(Systems(app.clone()));
            let vm = VmEngine::new(home.clone(), program.clone(), systems);
            let vm = SupervisedBackend::new(vm, store, tandem);
            Self {
                home,
                instances,
                images,
                program,
                container: Arc::new(container),
                process: Arc::new(process),
                vm: Arc::new(vm),
                docker: Arc::new(docker),
                podman: Arc::new(podman),
            }
        }))
    }

    /// The folder that holds everything.
    pub fn home(&self) -> &Path {
        self.home.root()
    }

    /// What this machine is.
    pub fn machine(&self) -> Machine {
        tandem_probe::machine()
    }

    fn backend(&self, kind: BackendKind) -> &Arc<dyn Backend> {
        match kind {
            BackendKind::Container => &self.container,
            BackendKind::Process => &self.process,
            BackendKind::Vm => &self.vm,
            BackendKind::Docker => &self.docker,
            BackendKind::Podman => &self.podman,
        }
    }
}

/// Makes an ordinary user's process root of the home's user namespace; root
/// stays what it is. Comes first in `main`, while there is a single thread. Who
/// `starts` apps needs control groups for their limits.
pub fn enter(home: Option<&Path>, starts: bool) -> Result<(), AppError> {
    Ok(tandem_rootless::enter(&Home::open(home)?, starts)?)
}

/// This process, as the owner of instances that are to end with it.
pub fn own_identity() -> Option<tandem_model::ProcessIdentity> {
    tandem_probe::identity(std::process::id())
}
