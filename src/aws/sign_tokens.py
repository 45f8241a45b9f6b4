#!/usr/bin/env python3
"""Tokens as botocore signs them, for a fixed time and fixed keys: what our own are compared with.

Writes tokens.tsv beside this file. With --check it compares: exit 1 if the file is not what this botocore makes.
The keys are the examples of AWS' documentation; nothing is sent.
"""
import datetime
import pathlib
import sys
import urllib.parse

import botocore.auth
import botocore.credentials
import botocore.hooks
import botocore.model
import botocore.signers

FILE = pathlib.Path(__file__).with_name("tokens.tsv")
COLUMNS = "seconds service region cache serverless user id secret session token".split()

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION = "IQoJb3JpZ2luX2VjEXAMPLE//+=token" + "A1b2C3d4+/" * 60 + "=="

# Seconds since 1970, service, region, cache, serverless, user, key id, secret, session token.
CASES = [
    (1772366400, "elasticache", "us-east-1", "my-cache", False, "app", ID, SECRET, ""),
    (1772366400, "elasticache", "us-east-1", "my-cache", False, "app", "ASIAIOSFODNN7EXAMPLE", SECRET, SESSION),
    (1772366400, "elasticache", "eu-central-1", "orders", True, "app", ID, SECRET, ""),
    (1772366400, "elasticache", "ap-southeast-2", "orders", True, "app-7", "ASIAIOSFODNN7EXAMPLE", SECRET, SESSION),
    (1709164799, "elasticache", "us-gov-west-1", "my-cache", False, "iam-user-01", ID, SECRET, ""),
    (1709164800, "elasticache", "cn-northwest-1", "my-cache", False, "iam-user-01", ID, SECRET, ""),
    (1709251200, "elasticache", "me-central-1", "c", True, "u", ID, "x", "t"),
    (946684800, "elasticache", "us-east-1", "my-cache", False, "a b+c&d=e/f?g%h", ID, SECRET, ""),
    (946684800, "elasticache", "us-east-1", "my-cache", True, "J\u00fcrgen~._-\u20ac\U0001f511", ID, SECRET, SESSION),
    (4102444799, "elasticache", "us-east-1", "my-cache", False, "!*'();:@,$[]#\"<>\\^`{|}", ID, SECRET, ""),
    (1772366400, "memorydb", "us-east-2", "my-cluster", False, "app", ID, SECRET, ""),
    (1772366400, "memorydb", "eu-west-1", "my-cluster", False, "app user", ID, SECRET, SESSION),
]


def stop_the_clock(seconds):
    """botocore reads the time in one place; older versions by another name than newer ones."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda *_, **__: moment
        return

    class Stopped(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return moment.replace(tzinfo=None)

    class Module:
        datetime = Stopped

    botocore.auth.datetime = Module


def token(seconds, service, region, cache, serverless, user, key, secret, session):
    stop_the_clock(seconds)
    query = {"Action": "connect", "User": user}
    if serverless:
        query["ResourceType"] = "ServerlessCache"
    emitter = botocore.hooks.HierarchicalEmitter()  # the signer does not keep it alive
    signer = botocore.signers.RequestSigner(
        botocore.model.ServiceId(service),
        region,
        service,
        "v4",
        botocore.credentials.Credentials(key, secret, session or None),
        emitter,
    )
    url = f"http://{cache}/?{urllib.parse.urlencode(query)}"
    request = {"method": "GET", "url": url, "body": {}, "headers": {}, "context": {}}
    signed = signer.generate_presigned_url(request, operation_name="connect", expires_in=900, region_name=region)
    return signed[len("http://"):]


def main():
    lines = ["\t".join(COLUMNS)]
    for case in CASES:
        values = ["yes" if value is True else "no" if value is False else str(value) for value in case]
        lines.append("\t".join([*values, token(*case)]))
    text = "\n".join(lines) + "\n"
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.read_text(encoding="utf-8") == text:
        print(f"{FILE.name} is what botocore {botocore.__version__} signs: {len(CASES)} tokens")
        return 0
    print(f"{FILE.name} is not what botocore {botocore.__version__} signs; write it anew: {sys.argv[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
