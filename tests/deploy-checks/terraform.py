"""Modules of Terraform, read as far as the comparison in deployments.py needs it: expressions become the values that
CloudFormation would have in their place.

References become names in braces: `{VolumeSize}` a parameter, `{DataVolume}` a resource, by CloudFormation's names for both.
"""

import json
import pathlib
import re
import textwrap

import hcl2

# By CloudFormation's names.
PSEUDO = {
    "aws_region.current": "{AWS::Region}",
    "aws_caller_identity.current": "{AWS::AccountId}",
    "aws_partition.current": "{AWS::Partition}",
}
SUFFIX = "data.aws_partition.current.dns_suffix"


def camel(name):
    return "".join(word.capitalize() for word in name.split("_"))


def bare(word):
    return word[1:-1] if word.startswith('"') and word.endswith('"') else word


class Module:
    """One folder of `.tf` files. `names` tells what CloudFormation calls a resource, `given` what a variable is set to."""

    def __init__(self, folder, names):
        self.folder, self.names, self.given = pathlib.Path(folder), names, {}
        self.resources, self.data, self.variables, self.outputs, self.locals = {}, {}, {}, {}, {}
        for file in sorted(self.folder.glob("*.tf")):
            read = hcl2.loads(file.read_text())
            for kind, into in (("resource", self.resources), ("data", self.data)):
                for one in read.get(kind, []):
                    ((type_, named),) = one.items()
                    ((name, body),) = named.items()
                    into[f"{bare(type_)}.{bare(name)}"] = self.plain(body)
            for kind, into in (("variable", self.variables), ("output", self.outputs)):
                for one in read.get(kind, []):
                    ((name, body),) = one.items()
                    into[bare(name)] = self.plain(body)
            for one in read.get("locals", []):
                self.locals |= self.plain(one)

    def plain(self, body):
        """Without the parser's own marks."""
        if isinstance(body, dict):
            return {bare(key): self.plain(value) for key, value in body.items() if not key.startswith("__")}
        return [self.plain(one) for one in body] if isinstance(body, list) else body

    def value(self, said):
        if isinstance(said, dict):
            return {key: self.value(one) for key, one in said.items()}
        if isinstance(said, list):
            return [self.value(one) for one in said]
        if not isinstance(said, str):
            return said
        if said.startswith('"'):
            return self.text(bare(said))
        expression = re.fullmatch(r"\$\{(.*)\}", said, re.S)
        return self.evaluated(expression.group(1)) if expression else self.text(said)

    def text(self, said):
        return re.sub(r"\$\{([^{}]*)\}", lambda found: str(self.evaluated(found.group(1))), said)

    def evaluated(self, expression):
        if inner := re.fullmatch(r'file\("\$\{path\.module\}/(.*)"\)', expression):
            return json.loads((self.folder / inner.group(1)).read_text())
        if inner := re.fullmatch(r"jsonencode\((.*)\)", expression, re.S):
            return self.value(self.plain(hcl2.loads(f"all = {inner.group(1)}\n"))["all"])
        if inner := re.fullmatch(r'base64encode\("<<-EOT\n(.*?) *EOT"\)', expression, re.S):
            return self.text(textwrap.dedent(inner.group(1)))
        if inner := re.fullmatch(r"(?:length\((\S+)\) == 0|(\S+) == \"\") \? 0 : 1", expression):
            return int(self.evaluated(inner.group(1) or inner.group(2)) not in ("", []))
        if inner := re.fullmatch(r"local\.(\w+)\[(\S+)\]\.(\w+)", expression):
            return self.value(self.locals[inner.group(1)][self.evaluated(inner.group(2))][inner.group(3)])
        return self.referred(expression)

    def referred(self, expression):
        if expression == SUFFIX:
            return "{AWS::URLSuffix}"
        first, second, *rest = expression.split(".")
        if first == "var":
            return self.given.get(second, f"{{{camel(second)}}}")
        if first == "local":
            return self.value(self.locals[second])
        if first == "data":
            return self.looked_up(f"{second}.{rest[0]}")
        whole = f"{first}.{second}"
        return f"{{{self.names.get(expression) or self.names[whole]}}}"

    def looked_up(self, source):
        if source in PSEUDO:
            return PSEUDO[source]
        body = self.data[source]
        if source.startswith("aws_iam_policy_document."):
            return self.policy(body)
        if source.startswith("aws_ssm_parameter."):
            return self.value(body["name"])
        if source.startswith("aws_secretsmanager_random_password."):
            return {camel(key): one for key, one in self.value(body).items()}
        raise KeyError(source)

    def policy(self, body):
        """What the provider writes for a policy document."""
        return {"Version": "2012-10-17", "Statement": [self.statement(self.value(one)) for one in body["statement"]]}

    @staticmethod
    def statement(said):
        said = dict(said)
        statement = {"Effect": said.pop("effect", "Allow"), "Action": said.pop("actions")}
        if "sid" in said:
            statement["Sid"] = said.pop("sid")
        if "resources" in said:
            statement["Resource"] = said.pop("resources")
        if "principals" in said:
            statement["Principal"] = {one["type"]: one["identifiers"] for one in said.pop("principals")}
        if "condition" in said:
            statement["Condition"] = {one["test"]: {one["variable"]: one["values"]} for one in said.pop("condition")}
        if said:
            raise KeyError(f"{sorted(said)} of a statement")
        return statement
