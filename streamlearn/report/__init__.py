"""The result as text, HTML and pictures: renderers of finished values."""
