//! Whether we live and are ready, for those who would start us anew.

use super::step::{Context, Step};
use crate::api::{Query, Reply, Request, StatusRow};
use crate::codec::http::{self, Response, Status};
use crate::process::Moment;

/// `GET /livez`: as long as the dispatcher answers.
pub(super) fn live(_: &http::Request, _: Context) -> Step {
    Step::ask(Request::Query(Query::Ping), |answer, _| {
        Step::Respond(match answer {
            Ok(_) => Response::text(Status::Ok, "ok\n"),
            Err(refusal) => Response::text(Status::Unavailable, format!("{refusal}\n")),
        })
    })
}

/// `GET /readyz`: all that start with the daemon are up and well.
pub(super) fn ready(_: &http::Request, _: Context) -> Step {
    Step::ask(Request::Query(Query::Readiness), |answer, _| {
        Step::Respond(match answer {
            Ok(Reply::Readiness { rows, hidden: 0, .. }) if rows.is_empty() => Response::text(Status::Ok, "ok\n"),
            Ok(Reply::Readiness { rows, hidden, now }) => {
                let mut lines: String = rows.iter().map(|row| obstacle(row, now)).collect();
                if hidden > 0 {
                    lines.push_str(&format!("{hidden} that you may not see\n"));
                }
                Response::text(Status::Unavailable, lines)
            }
            Ok(other) => Response::text(Status::InternalError, format!("{other}\n")),
            Err(refusal) => Response::text(Status::Unavailable, format!("{refusal}\n")),
        })
    })
}

/// `GET /` of a daemon that was built without the page.
#[cfg(not(feature = "web-page"))]
pub(super) fn no_page(_: &http::Request, context: Context) -> Step {
    let message =
        "this supervice was built without the web page (the feature web-page); /api/v1/status tells the states";
    Step::Respond(Response::error(Status::NotFound, message, context.is_browser))
}

/// The line of one that is to run and is not ready.
fn obstacle(row: &StatusRow, now: Moment) -> String {
    // One line, whatever a program's last words were.
    let why: String = row.describe(now).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{} is {}, {why}\n", row.program.name, row.state)
}
