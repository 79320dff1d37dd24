use tandem_app::AppError;
use tandem_backend::{AttachWishes, Attached};
use tandem_model::{Exit, InstanceRecord};

use super::{Context, exec::no_terminal};
use crate::{
    attach::{DetachKeys, Left, Session, Signals},
    grammar::Attach,
    output::complain,
};

/// `tandem attach`.
pub(super) async fn run(context: &Context, wanted: Attach) -> anyhow::Result<u8> {
    let signals = Signals::take()?;
    let options = context.app.inspect(&wanted.instance)?.spec.options;
    let input = options.stdin && !wanted.no_stdin;
    if input && options.terminal {
        refuse_pipes()?;
    }
    let wishes = AttachWishes { input, ..AttachWishes::default() };
    let (record, attached) = context.app.attach(&wanted.instance, wishes).await?;
    let joined = Joined { record, input, keys: wanted.detach_keys, proxy: wanted.sig_proxy };
    joined.follow(context, attached, signals).await
}

/// `tandem start -a` and `-i`.
pub(super) async fn start(
    context: &Context,
    interactive: bool,
    keys: DetachKeys,
    instances: &[String],
) -> anyhow::Result<u8> {
    let [instance] = instances else {
        let text = "only one instance can be attached to: start the others without -a and -i";
        return Err(AppError::Usage(text.to_owned()).into());
    };
    let signals = Signals::take()?;
    let options = context.app.inspect(instance)?.spec.options;
    let input = options.stdin && interactive;
    if input && options.terminal {
        refuse_pipes()?;
    }
    let wishes = AttachWishes { input, close: input, hold: true };
    let (record, attached) = context.app.start_attached(instance, wishes).await?;
    super::run::warn(context, &record.runtime.warnings);
    Joined { record, input, keys, proxy: true }.follow(context, attached, signals).await
}

/// A terminal inside wants one outside.
pub(super) fn refuse_pipes() -> Result<(), AppError> {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) { Ok(()) } else { Err(no_terminal()) }
}

/// An instance that this command stands for.
pub(super) struct Joined {
    pub(super) record: InstanceRecord,
    pub(super) input: bool,
    pub(super) keys: DetachKeys,
    pub(super) proxy: bool,
}

/// The exit code of a program whose reader went away (128 + SIGPIPE).
const NOBODY_READS: u8 = 141;

impl Joined {
    /// Shows the app's output until it ends, and ends with its code.
    pub(super) async fn follow(
        self,
        context: &Context,
        attached: Attached,
        signals: Signals,
    ) -> anyhow::Result<u8> {
        let Self { record, input, keys, proxy } = self;
        let (id, name) = (record.id.as_str(), &record.spec.name);
        let terminal = record.spec.options.terminal;
        let session = Session { app: &context.app, instance: id, terminal, input, keys, proxy };
        match session.run(attached, signals).await? {
            Left::Ended(exit) => Ok(code_of(&record, exit.as_ref())),
            Left::NobodyReads => Ok(NOBODY_READS),
            Left::Detached => {
                if record.spec.owner.is_some() {
                    context.app.disown(id).await?;
                }
                context.say(&format!("tandem: left {name}: `tandem attach {name}` comes back"));
                Ok(0)
            }
            Left::Lost => {
                for line in context.app.reap().await? {
                    context.say(&format!("tandem: after a crash: {line}"));
                }
                match context.app.inspect(id) {
                    Ok(now) if now.state.is_up() => anyhow::bail!(
                        "the output of {name} came faster than it was read: `tandem logs -f {name}` shows it"
                    ),
                    Ok(now) => Ok(code_of(&record, now.exit.as_ref())),
                    Err(_) => anyhow::bail!(
                        "the supervisor of {name} was killed, and the instance is removed"
                    ),
                }
            }
        }
    }
}

/// Says what is to be said of an end, and returns its code.
fn code_of(record: &InstanceRecord, exit: Option<&Exit>) -> u8 {
    let Some(exit) = exit else { return 125 };
    if exit.out_of_memory {
        let limit = record.spec.resources.memory_bytes.map(tandem_model::format::format_bytes);
        let limit = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        complain(&format!(
            "{} ran out of memory at its limit{limit} and was killed: give more with --memory",
            record.spec.name
        ));
    }
    if let Some(error) = &exit.error {
        complain(&error.to_string());
    }
    u8::try_from(exit.code & 0xff).unwrap_or(125)
}
