//! `GET /`: the page for browsers. It is one page and what belongs to it, in files of their own below `page/`: they are served
//! as they are written there. What they show comes from the same paths as anybody's.

use std::sync::OnceLock;

use super::step::{Context, Step};
use crate::codec::http::{Request, Response, Status};
use crate::util::gzip::Encoder;

/// A file of the page.
struct Source {
    /// The last part of its path; of the page itself nothing.
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// As it goes out, from the first time that a browser wants it: a daemon that nobody looks at does not keep it. It
    /// takes less than a millisecond.
    prepared: OnceLock<Prepared>,
}

/// What is made of a file.
struct Prepared {
    compressed: Vec<u8>,
    /// What it does not have in common with that of another version.
    tag: String,
}

const fn source(name: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Source {
    Source { name, content_type, bytes, prepared: OnceLock::new() }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static SOURCES: [Source; 12] = [
    source("", "text/html; charset=utf-8", include_bytes!("page/index.html")),
    source("page.css", "text/css; charset=utf-8", include_bytes!("page/page.css")),
    source("icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
    source("main.js", SCRIPT, include_bytes!("page/main.js")),
    source("access.js", SCRIPT, include_bytes!("page/access.js")),
    source("daemon.js", SCRIPT, include_bytes!("page/daemon.js")),
    source("elements.js", SCRIPT, include_bytes!("page/elements.js")),
    source("graph.js", SCRIPT, include_bytes!("page/graph.js")),
    source("log.js", SCRIPT, include_bytes!("page/log.js")),
    source("model.js", SCRIPT, include_bytes!("page/model.js")),
    source("program.js", SCRIPT, include_bytes!("page/program.js")),
    source("table.js", SCRIPT, include_bytes!("page/table.js")),
];

/// Nothing runs and nothing is loaded but what comes from here; nobody else's page may show this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// `GET /` and the files of the page, `/page/NAME`.
pub(super) fn file(request: &Request, _: Context) -> Step {
    let name = request.head.target.segments.get(1).map(String::as_str).unwrap_or_default();
    Step::Respond(match SOURCES.iter().find(|source| source.name == name) {
        Some(source) => respond(source, request),
        None => Response::error(Status::NotFound, "the page has no such file", true),
    })
}

fn respond(source: &'static Source, request: &Request) -> Response {
    let Prepared { compressed, tag } = source.prepared.get_or_init(|| prepare(source.bytes));
    let known = request.head.text("if-none-match").unwrap_or_default();
    let response = if known.split(',').any(|known| known.trim() == tag) {
        Response::new(Status::NotModified, source.content_type, Vec::new())
    } else if request.head.accepts_gzip() {
        Response::new(Status::Ok, source.content_type, compressed.clone()).with("Content-Encoding", "gzip")
    } else {
        Response::new(Status::Ok, source.content_type, source.bytes.to_vec())
    };
    response
        .with("ETag", tag.as_str())
        .with("Vary", "Accept-Encoding")
        // Kept, and asked for again each time: another daemon may have another page.
        .with("Cache-Control", "no-cache")
        .with("Content-Security-Policy", POLICY)
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
}

fn prepare(bytes: &[u8]) -> Prepared {
    let mut encoder = Encoder::new();
    encoder.push(bytes);
    encoder.finish();
    let hash = hmac_sha256::Hash::hash(bytes);
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // Weak: it goes out compressed or not.
    Prepared { compressed: encoder.out, tag: format!("W/\"{hash}\"") }
}
