document.querySelectorAll('.legend input').forEach(function (box) {
  function apply() {
    document.querySelectorAll('.diagram .' + box.value).forEach(function (arrow) {
      arrow.classList.toggle('hidden', !box.checked);
    });
  }
  box.addEventListener('change', apply);
  apply();
});
