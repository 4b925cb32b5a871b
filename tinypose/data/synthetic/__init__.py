"""A drawn set of articulated people with COCO's joints, and annotations that are true by construction."""

from tinypose.data.synthetic.dataset import draw_set
from tinypose.data.synthetic.picture import Person, Picture, draw_picture

__all__ = ["Person", "Picture", "draw_picture", "draw_set"]
