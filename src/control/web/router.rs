//! Which handler serves which request: one table.

use super::guard::BodyKind;
#[cfg(feature = "web-page")]
use super::page;
#[cfg(feature = "xmlrpc")]
use super::rpc;
use super::step::{Context, Step};
use super::{api, command, metrics, probes, usage};
use crate::codec::http::{Method, Request};

/// From a request to what is done first about it.
pub(super) type Handler = fn(&Request, Context) -> Step;

/// What is to be had at a path.
#[derive(Clone, Copy)]
pub(super) struct Resource {
    /// Answers GET, and HEAD with what GET would be answered.
    get: Option<Handler>,
    /// Answers POST.
    post: Option<Handler>,
    /// What a POST may bring.
    pub(super) takes: BodyKind,
    /// Nobody has to log in for it where the probes are open.
    pub(super) is_probe: bool,
}

const NOTHING: Resource = Resource { get: None, post: None, takes: BodyKind::Json, is_probe: false };

fn get(handler: Handler) -> Resource {
    Resource { get: Some(handler), ..NOTHING }
}

fn post(handler: Handler) -> Resource {
    Resource { post: Some(handler), ..NOTHING }
}

/// The resource of a path, by its decoded parts.
pub(super) fn find(segments: &[String]) -> Option<Resource> {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(match parts.as_slice() {
        #[cfg(feature = "web-page")]
        [] | ["page", _] => get(page::file),
        #[cfg(not(feature = "web-page"))]
        [] => get(probes::no_page),
        ["livez"] => Resource { is_probe: true, ..get(probes::live) },
        ["readyz"] => Resource { is_probe: true, ..get(probes::ready) },
        ["metrics"] => get(metrics::metrics),
        #[cfg(feature = "xmlrpc")]
        [first, ..] if first.starts_with("RPC2") => Resource { takes: BodyKind::Xml, ..post(rpc::call) },
        #[cfg(feature = "xmlrpc")]
        ["logtail", _] | ["logtail", _, "stdout" | "stderr"] => get(rpc::follow_log),
        #[cfg(feature = "xmlrpc")]
        ["ok.html"] => get(rpc::ok_page),
        #[cfg(feature = "xmlrpc")]
        ["mainlogtail"] => get(rpc::follow_main_log),
        ["api", "v1", "command"] => post(command::run),
        ["api", "v1", rest @ ..] => api(rest)?,
        _ => return None,
    })
}

/// What is below `/api/v1`; the names of programs stand in the paths as they are.
fn api(parts: &[&str]) -> Option<Resource> {
    Some(match parts {
        ["version"] => get(api::version),
        ["status" | "programs"] => get(api::status),
        ["access"] => get(api::access),
        ["history"] => get(api::whole_history),
        ["graph"] => get(api::whole_graph),
        ["flags"] => get(api::flags),
        ["usage"] => get(usage::usage),
        ["events"] => get(api::events),
        ["openapi.json"] => get(api::description),
        ["programs", _] => get(api::program),
        ["programs", _, "why"] => get(api::why),
        ["programs", _, "history"] => get(api::history),
        ["programs", _, "graph"] => get(api::graph),
        ["programs", _, "config"] => get(api::config),
        ["programs", _, "log"] => get(api::log),
        ["programs", _, "start"] => post(api::start),
        ["programs", _, "stop"] => post(api::stop),
        ["programs", _, "restart"] => post(api::restart),
        ["programs", _, "kill"] => post(api::kill),
        ["programs", _, "signal"] => post(api::signal),
        ["programs", _, "pause"] => post(api::pause),
        ["programs", _, "resume"] => post(api::resume),
        ["programs", _, "disable"] => post(api::disable),
        ["programs", _, "enable"] => post(api::enable),
        ["programs", _, "scale"] => post(api::scale),
        ["programs", _, "reload"] => post(api::reload_program),
        ["programs", _, "settings"] => get(api::settings),
        _ => return None,
    })
}

impl Resource {
    /// The handler of a method.
    pub(super) fn handler(&self, method: Method) -> Option<Handler> {
        match method {
            Method::Get | Method::Head => self.get,
            Method::Post => self.post,
            Method::Other => None,
        }
    }

    /// The methods that there are, for people.
    pub(super) fn usual(&self) -> &'static str {
        match (self.get.is_some(), self.post.is_some()) {
            (true, true) => "GET or POST",
            (true, false) => "GET",
            (false, _) => "POST",
        }
    }

    /// The methods that there are, as `Allow` tells them.
    pub(super) fn allowed(&self) -> &'static str {
        match (self.get.is_some(), self.post.is_some()) {
            (true, true) => "GET, HEAD, POST",
            (true, false) => "GET, HEAD",
            (false, _) => "POST",
        }
    }
}
