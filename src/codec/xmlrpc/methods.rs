//! The table of methods. It is closed: what is not in it is unknown, whatever its name looks like.

use super::calls::{Call, LogRange, Many, One};
use super::fault::{Fault, FaultCode};
use super::names::Namespec;
use super::params::Params;
use super::value::{MethodCall, Value};
use crate::models::StreamKind;

/// A method.
pub(super) struct Method {
    pub(super) name: &'static str,
    /// The types of its result and of its parameters.
    signature: &'static [&'static str],
    /// How many of its last parameters may be left out.
    optional: usize,
    help: &'static str,
    read: fn(Params) -> Result<Call, Fault>,
}

const fn method(
    name: &'static str,
    signature: &'static [&'static str],
    help: &'static str,
    read: fn(Params) -> Result<Call, Fault>,
) -> Method {
    Method { name, signature, optional: 0, help, read }
}

/// A method whose last parameter may be left out.
const fn method_with_default(
    name: &'static str,
    signature: &'static [&'static str],
    help: &'static str,
    read: fn(Params) -> Result<Call, Fault>,
) -> Method {
    Method { name, signature, optional: 1, help, read }
}

const LOG: &[&str] = &["string", "string", "int", "int"];
const TAIL: &[&str] = &["array", "string", "int", "int"];

const READ_LOG: &str = "A part of the standard output log: from offset on length bytes, 0: to the end; a negative offset with length 0: the last bytes.";
const READ_ERR: &str = "As readProcessStdoutLog, of the standard error log.";
const TAIL_LOG: &str =
    "The last length bytes of the standard output log, its size, and whether it has more than offset and length.";
const TAIL_ERR: &str = "As tailProcessStdoutLog, of the standard error log.";
const CLEAR: &str = "Empties the logs of a process.";
const READ_MAIN: &str = "A part of the daemon's log; offset and length as in readProcessStdoutLog.";

/// All methods, sorted by name.
static METHODS: &[Method] = &[
    method("supervice.getVersion", &["string"], "The version of supervice.", |_| {
        Ok(Call::Constant(Value::text(env!("CARGO_PKG_VERSION"))))
    }),
    method("supervice.why", &["array", "string"], "How a process came to its state: lines for people.", |params| {
        one(params, |_| Ok(One::Why))
    }),
    method(
        "supervisor.addProcessGroup",
        &["boolean", "string"],
        "Takes a group into force from the configuration that was read last.",
        |params| Ok(Call::AddGroup(params.text(0)?)),
    ),
    method("supervisor.clearAllProcessLogs", &["array"], "Empties the logs of all processes.", |_| {
        Ok(Call::Many { group: None, what: Many::Clear })
    }),
    method("supervisor.clearLog", &["boolean"], "Empties the daemon's log.", |_| Ok(Call::ClearLog)),
    method("supervisor.clearProcessLog", &["boolean", "string"], CLEAR, |params| one(params, |_| Ok(One::Clear))),
    method("supervisor.clearProcessLogs", &["boolean", "string"], CLEAR, |params| one(params, |_| Ok(One::Clear))),
    method("supervisor.getAPIVersion", &["string"], "The version of this interface.", |_| Ok(Call::ApiVersion)),
    method(
        "supervisor.getAllConfigInfo",
        &["array"],
        "The settings of all processes of the configuration that was read last.",
        |_| Ok(Call::AllConfigInfo),
    ),
    method("supervisor.getAllProcessInfo", &["array"], "What getProcessInfo tells, of all processes.", |_| {
        Ok(Call::Many { group: None, what: Many::Info })
    }),
    method("supervisor.getIdentification", &["string"], "What the daemon calls itself.", |_| Ok(Call::Identification)),
    method("supervisor.getPID", &["int"], "The process id of the daemon.", |_| Ok(Call::Pid)),
    method("supervisor.getProcessInfo", &["struct", "string"], "The state of a process.", |params| {
        one(params, |_| Ok(One::Info))
    }),
    method("supervisor.getState", &["struct"], "The state of the daemon.", |_| Ok(Call::State)),
    method("supervisor.getSupervisorVersion", &["string"], "The version of supervisor that is spoken here.", |_| {
        Ok(Call::SupervisorVersion)
    }),
    method("supervisor.getVersion", &["string"], "The version of this interface.", |_| Ok(Call::ApiVersion)),
    method("supervisor.readLog", &["string", "int", "int"], READ_MAIN, main_log),
    method("supervisor.readMainLog", &["string", "int", "int"], READ_MAIN, main_log),
    method("supervisor.readProcessLog", LOG, READ_LOG, |params| read_log(params, StreamKind::Stdout)),
    method("supervisor.readProcessStderrLog", LOG, READ_ERR, |params| read_log(params, StreamKind::Stderr)),
    method("supervisor.readProcessStdoutLog", LOG, READ_LOG, |params| read_log(params, StreamKind::Stdout)),
    method(
        "supervisor.reloadConfig",
        &["array"],
        "Reads the configuration; the groups that are new, changed and gone.",
        |_| Ok(Call::ReloadConfig),
    ),
    method(
        "supervisor.removeProcessGroup",
        &["boolean", "string"],
        "Takes a group that is stopped out of force.",
        |params| Ok(Call::RemoveGroup(params.text(0)?)),
    ),
    method("supervisor.restart", &["boolean"], "Stops everything and begins anew.", |_| Ok(Call::Restart)),
    method(
        "supervisor.sendProcessStdin",
        &["boolean", "string", "string"],
        "Writes to the standard input of a process.",
        |params| one(params, |params| Ok(One::Stdin(params.bytes(1)?))),
    ),
    method(
        "supervisor.sendRemoteCommEvent",
        &["boolean", "string", "string"],
        "Sends an event to event listeners.",
        |params| Ok(Call::RemoteEvent { kind: params.said(0)?, data: params.said(1)? }),
    ),
    method("supervisor.shutdown", &["boolean"], "Stops everything and ends the daemon.", |_| Ok(Call::Shutdown)),
    method("supervisor.signalAllProcesses", &["array", "string"], "Sends a signal to all processes.", |params| {
        Ok(Call::Many { group: None, what: Many::Signal(params.signal(0)?) })
    }),
    method("supervisor.signalProcess", &["boolean", "string", "string"], "Sends a signal to a process.", |params| {
        let signal = params.signal(1)?;
        one_or_many(params.text(0)?, One::Signal(signal.clone()), Many::Signal(signal))
    }),
    method(
        "supervisor.signalProcessGroup",
        &["array", "string", "string"],
        "Sends a signal to all processes of a group.",
        |params| {
            Ok(Call::Many { group: Some(Namespec::group(params.text(0)?)), what: Many::Signal(params.signal(1)?) })
        },
    ),
    method_with_default(
        "supervisor.startAllProcesses",
        &["array", "boolean"],
        "Starts all processes that do not run.",
        |params| Ok(Call::Many { group: None, what: Many::Start { wait: params.flag(0, true) } }),
    ),
    method_with_default(
        "supervisor.startProcess",
        &["boolean", "string", "boolean"],
        "Starts a process, and with wait answers when it is RUNNING.",
        |params| {
            let wait = params.flag(1, true);
            one_or_many(params.text(0)?, One::Start { wait }, Many::Start { wait })
        },
    ),
    method_with_default(
        "supervisor.startProcessGroup",
        &["array", "string", "boolean"],
        "Starts all processes of a group that do not run.",
        |params| {
            Ok(Call::Many {
                group: Some(Namespec::group(params.text(0)?)),
                what: Many::Start { wait: params.flag(1, true) },
            })
        },
    ),
    method_with_default(
        "supervisor.stopAllProcesses",
        &["array", "boolean"],
        "Stops all processes that run.",
        |params| Ok(Call::Many { group: None, what: Many::Stop { wait: params.flag(0, true) } }),
    ),
    method_with_default(
        "supervisor.stopProcess",
        &["boolean", "string", "boolean"],
        "Stops a process, and with wait answers when nothing of it is left.",
        |params| {
            let wait = params.flag(1, true);
            one_or_many(params.text(0)?, One::Stop { wait }, Many::Stop { wait })
        },
    ),
    method_with_default(
        "supervisor.stopProcessGroup",
        &["array", "string", "boolean"],
        "Stops all processes of a group that run.",
        |params| {
            Ok(Call::Many {
                group: Some(Namespec::group(params.text(0)?)),
                what: Many::Stop { wait: params.flag(1, true) },
            })
        },
    ),
    method("supervisor.tailProcessLog", TAIL, TAIL_LOG, |params| tail_log(params, StreamKind::Stdout)),
    method("supervisor.tailProcessStderrLog", TAIL, TAIL_ERR, |params| tail_log(params, StreamKind::Stderr)),
    method("supervisor.tailProcessStdoutLog", TAIL, TAIL_LOG, |params| tail_log(params, StreamKind::Stdout)),
    method("system.listMethods", &["array"], "The names of all methods, sorted.", |_| {
        let names = METHODS.iter().map(|method| Value::text(method.name));
        Ok(Call::Constant(Value::Array(names.collect())))
    }),
    method("system.methodHelp", &["string", "string"], "What a method does.", |params| {
        Ok(Call::Constant(Value::text(known(&params)?.help)))
    }),
    method(
        "system.methodSignature",
        &["array", "string"],
        "The types of the result and of the parameters of a method.",
        |params| {
            let types = known(&params)?.signature.iter().map(|kind| Value::text(*kind));
            Ok(Call::Constant(Value::Array(types.collect())))
        },
    ),
    method(
        "system.multicall",
        &["array", "array"],
        "Calls several methods, one after the other; their results.",
        |params| Ok(Call::Multi(params.array(0)?)),
    ),
];

/// What a call asks for.
///
/// # Errors
/// There is no such method, or its parameters are others.
pub(super) fn read(call: MethodCall) -> Result<Call, Fault> {
    let method = find(&call.method).ok_or(FaultCode::UnknownMethod.bare())?;
    let most = method.signature.len().saturating_sub(1);
    if !(most - method.optional..=most).contains(&call.params.len()) {
        return Err(FaultCode::IncorrectParameters.bare());
    }
    (method.read)(Params(call.params))
}

fn find(name: &str) -> Option<&'static Method> {
    let place = METHODS.binary_search_by(|method| method.name.cmp(name)).ok()?;
    METHODS.get(place)
}

/// The method that the first parameter names.
fn known(params: &Params) -> Result<&'static Method, Fault> {
    params.text(0).ok().and_then(|name| find(&name)).ok_or(FaultCode::SignatureUnsupported.bare())
}

/// For one process; a group is refused.
fn one(params: Params, what: fn(&Params) -> Result<One, Fault>) -> Result<Call, Fault> {
    let what = what(&params)?;
    let spec = Namespec::new(params.text(0)?);
    match spec.process {
        Some(_) => Ok(Call::One { spec, what }),
        None => Err(FaultCode::BadName.about(spec.written)),
    }
}

/// For one process, or for all of a group: `group:*`.
fn one_or_many(name: String, one: One, many: Many) -> Result<Call, Fault> {
    let spec = Namespec::new(name);
    match spec.process {
        Some(_) => Ok(Call::One { spec, what: one }),
        None => Ok(Call::Many { group: Some(spec), what: many }),
    }
}

fn read_log(params: Params, stream: StreamKind) -> Result<Call, Fault> {
    let range = LogRange::new(params.number(1)?, params.number(2)?);
    named(params.text(0)?, One::Read { stream, range })
}

fn tail_log(params: Params, stream: StreamKind) -> Result<Call, Fault> {
    let (offset, length) = (params.number(1)?, params.number(2)?);
    named(params.text(0)?, One::Tail { stream, offset, length })
}

fn named(name: String, what: One) -> Result<Call, Fault> {
    let spec = Namespec::new(name);
    match spec.process {
        Some(_) => Ok(Call::One { spec, what }),
        None => Err(FaultCode::BadName.about(spec.written)),
    }
}

fn main_log(params: Params) -> Result<Call, Fault> {
    Ok(Call::ReadLog(LogRange::new(params.number(0)?, params.number(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_what_supervisord_has() {
        assert!(METHODS.windows(2).all(|pair| pair[0].name < pair[1].name));
        let of = |space: &str| METHODS.iter().filter(|method| method.name.starts_with(space)).count();
        assert_eq!((of("supervisor."), of("system."), of("supervice.")), (37, 4, 2));
        assert!(METHODS.iter().all(|method| method.help.ends_with('.') && !method.signature.is_empty()));
    }
}
