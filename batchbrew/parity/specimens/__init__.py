"""Random layers of every Caffe type, with inputs that suit them; random networks of several layers."""
