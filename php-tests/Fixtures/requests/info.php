<?php

declare(strict_types=1);

/* What phpinfo() says about the extension, as text. */

ob_start();
phpinfo(INFO_MODULES);
echo preg_replace('/\s*<\/td><td[^>]*>/', ' => ', (string) ob_get_clean());
