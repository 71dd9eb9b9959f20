"""An import-linter contract that lists what a package may import; import-linter's own list what it may not."""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedContract(Contract):
    """`source` and its descendants import nothing but themselves, `packages` and the standard library."""

    source = fields.StringField()
    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        allowed = {str(self.source), *map(str, self.packages), *sys.stdlib_module_names}
        strangers = sorted(
            (importer, imported)
            for importer in {str(self.source)} | graph.find_descendants(str(self.source))
            for imported in graph.find_modules_directly_imported_by(importer)
            if imported.split(".")[0] not in allowed
        )
        return ContractCheck(kept=not strangers, metadata={"strangers": strangers})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["strangers"]:
            output.print_error(f"{importer} imports {imported}")
