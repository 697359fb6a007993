"""HTTP that cannot be read is refused as everything else is: with a problem (RFC 9457)."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import problem_response
from shared.errors import Invalid
from shared.identifiers import new_id


class MalformedRequest(Invalid):
    """What arrived is not HTTP/1.1 (RFC 9112)."""

    title = "This is not HTTP"


class ProblemProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with its one answer of its own put into our words."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, and close: nobody knows where the next request begins."""
        request_id = new_id().hex
        response = problem_response(MalformedRequest("The request cannot be read as HTTP/1.1."), request_id)
        named = [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        headers = [*self.server_state.default_headers, *response.raw_headers, *named]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers), b"", bytes(response.body)]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()
