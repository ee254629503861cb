"""The form of header names, which settings name."""

from typing import Annotated, TypeAlias

from pydantic import StringConstraints

#: A token of RFC 9110; methods have the same form.
HeaderName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
