import { render } from "preact";
import { useEffect } from "preact/hooks";
import { ErrorBoundary, LocationProvider, lazy, Route, Router, useLocation } from "preact-iso";
import "./lib/theme";
import { page, root } from "./lib/url";
import "./style.css";
import "./controls.css";
import "./pages.css";
import "./parts.css";
import "./browser.css";
import DatasetsPage from "./pages/datasets";
import { Shell } from "./ui/shell";
import { Empty } from "./ui/widgets";

const VersionPage = lazy(() => import("./pages/version"));
const ComparePage = lazy(() => import("./pages/compare"));
const DataviewsPage = lazy(() => import("./pages/dataviews"));
const DataviewPage = lazy(() => import("./pages/dataview"));
const SettingsPage = lazy(() => import("./pages/settings"));
const LoginPage = lazy(() => import("./pages/login"));

function Home() {
  const { route } = useLocation();
  useEffect(() => route(page.datasets(), true), [route]);
  return null;
}

function NotFound() {
  return (
    <main class="page">
      <Empty title="There is no such page">
        <a href={page.datasets()}>All datasets</a>
      </Empty>
    </main>
  );
}

/** Links below /api lead to bytes, not to pages: the browser follows them itself. */
const pagesOnly = new RegExp(`^${root.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}/(?!api/|metrics|healthz)`);

function App() {
  return (
    <LocationProvider scope={pagesOnly}>
      <Shell>
        <ErrorBoundary>
          <Router>
            <Route path={`${root}/`} component={Home} />
            <Route path={`${root}/datasets`} component={DatasetsPage} />
            <Route path={`${root}/projects/:project`} component={DatasetsPage} />
            <Route path={`${root}/datasets/:dataset`} component={VersionPage} />
            <Route path={`${root}/datasets/:dataset/versions/:version`} component={VersionPage} />
            <Route path={`${root}/datasets/:dataset/versions/:version/frames/:frame`} component={VersionPage} />
            <Route path={`${root}/compare`} component={ComparePage} />
            <Route path={`${root}/dataviews`} component={DataviewsPage} />
            <Route path={`${root}/dataviews/:id`} component={DataviewPage} />
            <Route path={`${root}/settings`} component={SettingsPage} />
            <Route path={`${root}/login`} component={LoginPage} />
            <Route default component={NotFound} />
          </Router>
        </ErrorBoundary>
      </Shell>
    </LocationProvider>
  );
}

render(<App />, document.getElementById("app")!);
