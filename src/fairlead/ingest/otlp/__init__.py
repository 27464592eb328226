"""OTLP JSON: spans and events of any OpenTelemetry exporter, in the dialects that describe model calls.

A document (an export request, or a line that the collector's file exporter wrote) is split into records: one for each
span that is a model call, and one for each evaluation of something. What becomes of the other spans:

* A tool, an agent, an HTTP client, a database: no attempt, and no record. Where such a span stands around a call, it
  lends it conversation, agent, user, tags and decision.
* A call within a call is one call seen twice (a framework's span around its client's). The innermost spans are the
  attempts; the outer one names their request, and lends its figures to the last of them where that has none, so that
  its cost is neither lost nor counted twice. Spans of one trace that lie in different documents are not seen together.
* A document without a single call or evaluation is set aside whole, as `no_model_call`.

A span that cannot be read is a record too, so that it is set aside and its neighbours are not.
"""

from fairlead.ingest.otlp.documents import dialect, is_document, split
from fairlead.ingest.otlp.records import read

__all__ = ["dialect", "is_document", "read", "split"]
