"""A gRPC client that speaks ext_proc as Envoy does; run by a Python with grpcio and xds-protos.

Reads a JSON object from stdin: address, and a list of calls, each the messages of one stream as [kind, value]. Prints
for each call the answers, as protobuf's JSON.
"""

import json
import sys

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc
from google.protobuf.json_format import MessageToDict


def message(kind, value):
    made = pb.ProcessingRequest()
    part = getattr(made, kind)
    if kind.endswith("headers"):
        for name, said in value.items():
            one = part.headers.headers.add()
            one.key, one.raw_value = name, said.encode()
    else:
        part.body, part.end_of_stream = value.encode(), True
    return made


asked = json.load(sys.stdin)
with grpc.insecure_channel(asked["address"]) as channel:
    stub = rpc.ExternalProcessorStub(channel)
    answers = [
        [MessageToDict(one) for one in stub.Process(iter([message(*part) for part in call]), timeout=20)]
        for call in asked["calls"]
    ]
print(json.dumps(answers))
