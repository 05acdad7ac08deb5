//! What the answers of the api come to for supervisord's clients.

use super::calls::{Call, One};
use super::fault::{Fault, FaultCode};
use super::info::config_info;
use super::logs::lossy;
use super::member::Member;
use super::value::Value;
use crate::api::{Answer, ConfigRow, Refusal, Reply};
use crate::util::sort;

/// The version of the interface, and of the supervisord whose it is.
const API_VERSION: &str = "3.0";
const SUPERVISOR_VERSION: &str = "4.3.0";

/// What the answer about the process that was found comes to.
pub(super) fn found(written: &str, what: &One, answer: Answer) -> Result<Value, Fault> {
    match (what, answer) {
        (One::Stop { .. }, Err(refusal @ Refusal::NotReached { .. })) => {
            Err(FaultCode::Failed.about(refusal.to_string()))
        }
        (_, Err(refusal)) => Err(Fault::of(&refusal, written)),
        (One::Why, Ok(Reply::Why(why))) => Ok(Value::Array(why.lines().into_iter().map(Value::text).collect())),
        (
            One::Info
            | One::Why
            | One::Start { .. }
            | One::Stop { .. }
            | One::Signal(_)
            | One::Read { .. }
            | One::Tail { .. }
            | One::Clear
            | One::Stdin(_),
            Ok(_),
        ) => Ok(Value::Boolean(true)),
    }
}

pub(super) fn settings_of(rows: &[ConfigRow], users: &[(String, u32)]) -> Value {
    Value::Array(rows.iter().map(|row| config_info(row, users)).collect())
}

pub(super) fn plain(call: &Call, answer: Answer) -> Result<Value, Fault> {
    let name = if let Call::AddGroup(name) | Call::RemoveGroup(name) = call { name.as_str() } else { "" };
    match (call, answer) {
        (Call::ClearLog, Err(Refusal::NoLog { .. })) => Err(FaultCode::NoFile.bare()),
        (_, Err(refusal)) => Err(Fault::of(&refusal, name)),
        (_, Ok(Reply::Daemon(facts))) if facts.ending => Err(FaultCode::ShutdownState.bare()),
        (Call::ApiVersion, Ok(_)) => Ok(Value::text(API_VERSION)),
        (Call::SupervisorVersion, Ok(_)) => Ok(Value::text(SUPERVISOR_VERSION)),
        (Call::Identification, Ok(Reply::Daemon(facts))) => Ok(Value::text(facts.identifier)),
        (Call::Pid, Ok(Reply::Daemon(facts))) => Ok(Value::Int(i64::from(facts.pid))),
        (Call::State, Ok(_)) => {
            Ok(Value::Struct(vec![("statecode".into(), Value::Int(1)), ("statename".into(), Value::text("RUNNING"))]))
        }
        (Call::ReadLog(_), Ok(Reply::LogRead { bytes, .. })) => Ok(lossy(&bytes)),
        (Call::ReloadConfig, Ok(Reply::ConfigurationRead(changes))) => {
            let list = |names: Vec<String>| Value::Array(names.into_iter().map(Value::text).collect());
            let lists = [list(changes.added), list(changes.changed), list(changes.removed)];
            Ok(Value::Array(vec![Value::Array(lists.into())]))
        }
        (_, Ok(_)) => Ok(Value::Boolean(true)),
    }
}

pub(super) fn together(members: &[Member], before: Vec<Value>, is_start: bool, answer: Answer) -> Result<Value, Fault> {
    let answers = match answer {
        Ok(Reply::Each { results, .. }) => results,
        Ok(_) => Vec::new(),
        // The others have been told of.
        Err(refusal @ Refusal::Forbidden { .. }) if !before.is_empty() => {
            members.iter().map(|member| (member.name.clone(), Err(refusal.clone()))).collect()
        }
        Err(refusal) => return Err(Fault::of(&refusal, "")),
    };
    let result = |member: &Member| {
        let refusal =
            answers.iter().find(|(name, _)| *name == member.name).and_then(|(_, answer)| answer.as_ref().err());
        let fault = refusal.map(|refusal| fault_of_one(member, is_start, refusal));
        (when_settled(fault.as_ref()), member.result(fault.as_ref()))
    };
    let mut results: Vec<(u8, Value)> = members.iter().map(result).collect();
    sort::sort_by(&mut results, |one, other| one.0.cmp(&other.0));
    Ok(Value::Array(before.into_iter().chain(results.into_iter().map(|(_, value)| value)).collect()))
}

/// Why one of several has not got where it was sent.
fn fault_of_one(member: &Member, is_start: bool, refusal: &Refusal) -> Fault {
    match refusal {
        Refusal::NotReached { members, .. } => match members.first() {
            Some((_, why)) if is_start => Fault::of_member(why, &member.written()),
            Some((_, why)) => FaultCode::Failed.about(why.to_string()),
            None => Fault::of(refusal, &member.written()),
        },
        refusal => Fault::of(refusal, &member.written()),
    }
}

/// Of several that are started together, which have settled first: what has come up, then what has ended again.
fn when_settled(fault: Option<&Fault>) -> u8 {
    match fault.map(|fault| fault.code) {
        None => 0,
        Some(_) => 1,
    }
}

/// What was asked is answered otherwise than it can be.
pub(super) fn unexpected(answer: Answer, written: &str) -> Fault {
    match answer {
        Err(refusal) => Fault::of(&refusal, written),
        Ok(_) => FaultCode::Failed.bare(),
    }
}
