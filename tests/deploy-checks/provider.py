"""Holds every attribute, block and reference of deploy/terraform against the provider's own schema, without the provider.

Terraform's registry is not reached from everywhere. PyPI carries bindings that were generated from the provider's schema
(PACKAGE); they are read as text out of the wheel, never installed and never imported.
"""

import ast
import functools
import pathlib
import re
import subprocess
import sys
import zipfile

from terraform import Module

# Bindings of version 6.25 of hashicorp/aws.
PACKAGE = "cdktf-cdktf-provider-aws==21.22.1"
# What every block may hold, whatever it is of.
META = {"count", "depends_on", "for_each", "lifecycle", "provider"}


class Schema:
    """The bindings, read one kind at a time."""

    def __init__(self, wheel):
        self.wheel = zipfile.ZipFile(wheel)

    @functools.cache
    def classes(self, kind):
        """Of one kind's module: each class with its arguments, and what it can be asked for."""
        text = self.wheel.read(f"cdktf_cdktf_provider_aws/{kind}/__init__.py").decode()
        found = {}
        for one in ast.parse(text).body:
            if isinstance(one, ast.ClassDef):
                methods = [method for method in one.body if isinstance(method, ast.FunctionDef)]
                arguments = next((method.args for method in methods if method.name == "__init__"), None)
                takes = {}
                if arguments:
                    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
                        block = re.findall(r"['\"](\w+)['\"]", ast.unparse(argument.annotation))
                        takes[argument.arg] = (block[0] if block else None, default is None)
                found[one.name] = (takes, {method.name for method in methods})
        return found

    def problems(self, where, kind, class_, body):
        takes, _ = self.classes(kind)[class_]
        for key, said in body.items():
            if key in META:
                continue
            if key not in takes:
                yield f"{where} has no {key}"
            elif (block := takes[key][0]) and isinstance(said, list):
                for one in said:
                    if isinstance(one, dict):
                        yield from self.problems(f"{where}.{key}", kind, block, one)
        for key, (_, wanted) in takes.items():
            if wanted and key not in body:
                yield f"{where} wants {key}"

    def gives(self, kind, name):
        # The kind itself is the first class of its module.
        _, methods = next(iter(self.classes(kind).values()))
        return name in methods


def wheel(folder):
    """Fetches the bindings into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
    (file,) = pathlib.Path(folder).glob("*.whl")
    return file


def problems(schema, folder):
    """What the provider would not take of a module."""
    module = Module(folder, {})
    for prefix, declared in (("", module.resources), ("data_", module.data)):
        for address, body in declared.items():
            type_ = address.partition(".")[0]
            # The bindings leave `aws_` away for resources.
            kind = f"data_{type_}" if prefix else type_.removeprefix("aws_")
            config = "".join(word.capitalize() for word in kind.split("_")) + "Config"
            yield from schema.problems(f"{prefix.replace('_', '.')}{address}", kind, config, body)
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.tf")))
    for data, type_, name, attribute in sorted(set(re.findall(r"(?<![\w.\"])(data\.)?(aws_\w+)\.(\w+)\.(\w+)", text))):
        if f"{type_}.{name}" not in (module.data if data else module.resources):
            yield f"{data}{type_}.{name} is declared nowhere"
        elif not schema.gives(f"data_{type_}" if data else type_.removeprefix("aws_"), attribute):
            yield f"{data}{type_}.{name} gives no {attribute}"


# As in deployments.py, for what only the schema knows.
MISTAKES = [
    ("terraform/commander/main.tf", "    http_tokens ", "    http_token "),
    ("terraform/commander/main.tf", "  size              = var.volume_size\n", "  sise              = var.volume_size\n"),
    ("terraform/commander/main.tf", "aws_iam_role.write.arn]", "aws_iam_role.write.arm]"),
    ("terraform/commander/main.tf", "data.aws_region.current.name", "data.aws_region.current.nam"),
    ("terraform/demo/main.tf", "  alarm_name          = ", "  name                = "),
]
