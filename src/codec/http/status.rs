//! What an answer says first.

/// The status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 206: a part of it.
    PartialContent,
    /// 304: the client has it already.
    NotModified,
    /// 400: it is no request.
    BadRequest,
    /// 401: the client has sent no credentials, or wrong ones.
    Unauthorized,
    /// 403: he may not.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 405: that can't be done to it.
    MethodNotAllowed,
    /// 408: the request did not come whole in time.
    RequestTimeout,
    /// 409: the state that was asked for was not reached.
    Conflict,
    /// 411: the length of the body must be told before it.
    LengthRequired,
    /// 413: the body is too large.
    ContentTooLarge,
    /// 414: the target is too long.
    UriTooLong,
    /// 415: the body is of a type that is not taken.
    UnsupportedMediaType,
    /// 416: there is no such part.
    RangeNotSatisfiable,
    /// 431: the head is too large.
    HeadTooLarge,
    /// 500: our fault.
    InternalError,
    /// 501: a method that nobody knows.
    NotImplemented,
    /// 503: not now.
    Unavailable,
    /// 504: it takes longer than was to be waited.
    Timeout,
    /// 505: a version that is not spoken.
    VersionNotSupported,
}

impl Status {
    /// The number.
    pub fn code(self) -> u16 {
        self.parts().0
    }

    /// The words behind it, which some clients can't do without.
    pub fn reason(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (u16, &'static str) {
        match self {
            Status::Ok => (200, "OK"),
            Status::PartialContent => (206, "Partial Content"),
            Status::NotModified => (304, "Not Modified"),
            Status::BadRequest => (400, "Bad Request"),
            Status::Unauthorized => (401, "Unauthorized"),
            Status::Forbidden => (403, "Forbidden"),
            Status::NotFound => (404, "Not Found"),
            Status::MethodNotAllowed => (405, "Method Not Allowed"),
            Status::RequestTimeout => (408, "Request Timeout"),
            Status::Conflict => (409, "Conflict"),
            Status::LengthRequired => (411, "Length Required"),
            Status::ContentTooLarge => (413, "Content Too Large"),
            Status::UriTooLong => (414, "URI Too Long"),
            Status::UnsupportedMediaType => (415, "Unsupported Media Type"),
            Status::RangeNotSatisfiable => (416, "Range Not Satisfiable"),
            Status::HeadTooLarge => (431, "Request Header Fields Too Large"),
            Status::InternalError => (500, "Internal Server Error"),
            Status::NotImplemented => (501, "Not Implemented"),
            Status::Unavailable => (503, "Service Unavailable"),
            Status::Timeout => (504, "Gateway Timeout"),
            Status::VersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }

    /// What an error's JSON has as `code`, in the delivery of the frame protocol.
    pub fn error_code(self) -> &'static str {
        match self {
            Status::Ok | Status::PartialContent | Status::NotModified => "OK",
            Status::BadRequest | Status::LengthRequired | Status::RangeNotSatisfiable => "INVALID_REQUEST",
            Status::Unauthorized => "UNAUTHORIZED",
            Status::Forbidden => "FORBIDDEN",
            Status::NotFound => "NOT_FOUND",
            Status::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Status::RequestTimeout | Status::Timeout => "TIMEOUT",
            Status::Conflict | Status::Unavailable => "FAILED",
            Status::ContentTooLarge | Status::UriTooLong | Status::HeadTooLarge => "TOO_LARGE",
            Status::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Status::InternalError => "INTERNAL_ERROR",
            Status::NotImplemented | Status::VersionNotSupported => "NOT_IMPLEMENTED",
        }
    }
}
